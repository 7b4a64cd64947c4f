"""The stages, in the order in which they run.

A stage is a folder `components/NAME`, an extra NAME in pyproject.toml, and a row here: its image,
its settings' section and its place in the lock of packages follow.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """gpu: whether its task can use one. imports: folders with further code that its image runs."""

    gpu: bool = False
    imports: tuple[str, ...] = ()


STAGES: dict[str, Stage] = {
    "preprocess": Stage(),
    "train": Stage(gpu=True),
    "stylize": Stage(gpu=True),
    # Bulk jobs do both stages in one process, in reconstruct's image.
    "reconstruct": Stage(imports=("components/stylize", "pipeline/bulk")),
}
