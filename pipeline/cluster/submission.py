"""What is sent to a cluster: a compiled pipeline and its arguments, checked before anything is."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler

from audiostyle.errors import InputError
from audiostyle.files import write_text
from audiostyle.manifest import is_manifest
from audiostyle.uris import require_no_secret, require_remote
from components.stylize.pairs import read_pairs
from pipeline import images
from pipeline.bulk.config import BulkConfig
from pipeline.cluster.arguments import (
    check_model,
    check_pairs,
    check_weights,
    data_arguments,
    is_pinned,
    require_object_or_volume,
    require_on_volume,
    texts,
    tracking_address,
)
from pipeline.cluster.compact import compact
from pipeline.cluster.names import require_storable
from pipeline.cluster.quantity import quantity
from pipeline.definitions import bulk_stylization, end_to_end, stylization, training
from pipeline.settings import Settings


@dataclass(frozen=True)
class Submission:
    """A pipeline, its arguments, and the stages whose images it runs."""

    pipeline: Any
    arguments: dict[str, Any]
    stages: tuple[str, ...]

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return str(self.pipeline.name)

    def check(self) -> None:
        """Raise InputError for an argument that the pipeline does not know, or lacks."""
        known = self.pipeline.component_spec.inputs
        if unknown := sorted(set(self.arguments) - set(known)):
            raise InputError(f"{self.name}: has no parameter {unknown[0]!r}")
        needed = {name for name, spec in known.items() if not spec.optional}
        if missing := sorted(needed - set(self.arguments)):
            raise InputError(f"{self.name}: lacks the parameter {missing[0]!r}")
        for name, value in texts(self.arguments):
            require_storable(name, require_remote(name, require_no_secret(name, value)))

    def mutable_images(self) -> list[str]:
        """Images that are named by a tag, whose content may change under the name."""
        return [name for name in map(images.of, self.stages) if "@sha256:" not in name]

    @contextmanager
    def package(self) -> Iterator[Path]:
        """The pipeline as kfp's IR YAML, for as long as this lasts."""
        with tempfile.TemporaryDirectory(prefix="audiostyle-") as folder:
            path = Path(folder) / "pipeline.yaml"
            compiled(self.pipeline, path)
            yield path


def compiled(pipeline: Any, path: Path) -> None:
    """Write a pipeline as kfp's IR YAML."""
    with warnings.catch_warnings():
        # kfp warns that parameters of pipelines have mutable defaults: its own way.
        warnings.simplefilter("ignore")
        compiler.Compiler().compile(pipeline, str(path))
    spec, *platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    compact(spec)
    write_text(path, yaml.safe_dump_all([spec, *platform], sort_keys=False))


def training_submission(
    chosen: Settings,
    *,
    data: str,
    data_version: str = "",
    mirror: str = "",
    tracking_uri: str = "",
    cache: str = "",
    checkpoints: str = "",
    if_changed: bool = False,
) -> Submission:
    """Train on a data set and register. Raises InputError naming the argument."""
    return Submission(
        training.build(cluster=chosen.cluster, data_known=bool(data_version)),
        {
            **data_arguments(chosen, data, data_version, mirror, tracking_uri, cache, checkpoints),
            "if_changed": if_changed,
            **chosen.arguments("preprocess", "train", "gate"),
        },
        ("preprocess", "train"),
    )


def end_to_end_submission(
    chosen: Settings,
    *,
    data: str,
    pairs: str,
    data_version: str = "",
    pairs_version: str = "",
    mirror: str = "",
    tracking_uri: str = "",
    cache: str = "",
    checkpoints: str = "",
    work: str = "",
) -> Submission:
    """Train, register, stylize. Raises InputError naming the argument."""
    check_pairs(chosen, pairs, work)
    return Submission(
        end_to_end.build(
            cluster=chosen.cluster,
            data_known=bool(data_version),
            pairs_known=bool(pairs_version),
        ),
        {
            **data_arguments(chosen, data, data_version, mirror, tracking_uri, cache, checkpoints),
            "pairs": pairs,
            "work": work,
            "pairs_version": pairs_version,
            **chosen.arguments(),
        },
        tuple(images.STAGES),
    )


def stylization_submission(
    chosen: Settings,
    *,
    pairs: str,
    pairs_version: str = "",
    model: str = "champion",
    tracking_uri: str = "",
    shards: int = 1,
    parallelism: int = 4,
    work: str = "",
) -> Submission:
    """Stylize with a registered classifier. Raises InputError naming the argument."""
    check_pairs(chosen, pairs, work)
    check_model(model)
    local = Path(pairs)
    if local.is_file() and shards > (rows := len(read_pairs(local))):
        raise InputError(f"shards: {pairs} has {rows} rows, too few for {shards} tasks")
    return Submission(
        stylization.build(
            cluster=chosen.cluster,
            pairs_known=bool(pairs_version),
            pinned=is_pinned(model),
            shards=shards,
            parallelism=parallelism,
        ),
        {
            "pairs": pairs,
            "work": work,
            "model": model,
            "tracking_uri": tracking_address(chosen, tracking_uri),
            "pairs_version": pairs_version,
            **_shard_settings(chosen),
        },
        ("train", "stylize", "reconstruct"),
    )


def bulk_submission(
    chosen: Settings,
    *,
    manifest: str,
    out: str,
    how: dict[str, Any],
    model: str = "champion",
    tracking_uri: str = "",
    shards: int = 1,
    parallelism: int = 4,
    work: str = "",
) -> Submission:
    """A bulk job. how: fields of BulkConfig. Raises InputError naming the argument."""
    if not is_manifest(manifest):
        raise InputError(f"manifest: must end in .csv, .jsonl, .yaml or .yml (got {manifest!r})")
    for task in ("bulk", "join"):
        require_object_or_volume(chosen, "manifest", manifest, task, "s3://bucket/NAME.csv")
        require_object_or_volume(chosen, "out", out, task, "s3://bucket/prefix")
    if work:
        require_on_volume(chosen, "work", work, "bulk", "")
    check_model(model)
    check_weights(chosen, "bulk")
    if chosen.stylize.device.startswith("cuda"):
        raise InputError(
            "stylize.device: a bulk job's tasks do both stages, and have no GPU to hold for"
            f" Griffin-Lim (got {chosen.stylize.device!r}); --pairs has tasks for GPUs"
        )
    # A pod sees all the node's cores; what it may use of them is what it asked for.
    task_settings = chosen.cluster.task("bulk")
    workers = max(1, int(quantity(task_settings.cpu_limit or task_settings.cpu)))
    config = BulkConfig.parse({"workers": workers, **how}, "options")
    return Submission(
        bulk_stylization.build(
            cluster=chosen.cluster, pinned=is_pinned(model), shards=shards, parallelism=parallelism
        ),
        {
            "manifest": manifest,
            "out": out,
            "work": work,
            "model": model,
            "tracking_uri": tracking_address(chosen, tracking_uri),
            "bulk_config": {
                "workers": workers,
                **config.model_dump(mode="json", exclude_defaults=True),
            },
            **_shard_settings(chosen),
        },
        ("train", "reconstruct"),
    )


# What each kind of run is made by.
BUILDERS: dict[str, Callable[..., Submission]] = {
    "train": training_submission,
    "run": end_to_end_submission,
    "stylization": stylization_submission,
    "bulk": bulk_submission,
}


def _shard_settings(chosen: Settings) -> dict[str, Any]:
    """Settings of stylize and reconstruct, as far as they are no defaults: each shard repeats them.

    Which defaults these are, the image decides, which is named by its digest.
    """
    values = chosen.model_dump(mode="json", exclude_defaults=True)
    return {f"{name}_config": values.get(name, {}) for name in ("stylize", "reconstruct")}
