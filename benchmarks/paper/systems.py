"""What is compared: systems, what they start from, and how long they run, at three sizes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.stylize.config import StylizeConfig

# The paper's own, in the order that it found.
PAPERS = ("trained", "shallow", "base")
PAPER_TABLE = {10_000: 130.50, 12_000: 113.23, 15_000: 100.89, 20_000: 80.91}
SHOWN = "flute-violin"  # the pair of the figures and of table 1

Settings = dict[str, Any]


@dataclass(frozen=True, eq=False)
class System:
    """A row of the table. classifier: the one it needs, `ours` or `alexnet`."""

    name: str
    start: str
    settings: Settings
    classifier: str = "ours"

    @property
    def config(self) -> StylizeConfig:
        """Its settings, checked."""
        return StylizeConfig.parse({**self.settings, "init": self.start}, self.name)

    @property
    def label(self) -> str:
        """For figures."""
        return f"{self.name} from {self.start}"


@dataclass(frozen=True)
class Size:
    """How much is computed.

    steps: the paper's iterations, divided by it, are those of table 1, which are as much longer.
    pairs: of the bundled ones, at most.
    """

    name: str
    systems: tuple[System, ...]
    filters: int
    steps: int = 1
    pairs: int = 6
    every: int = field(default=250)  # steps of table 1 between two checkpoints


def _papers(trained: Settings, shallow: Settings, base: Settings, noise: Settings) -> list[System]:
    settings = {"trained": trained, "shallow": shallow, "base": base}
    rows = []
    for name in PAPERS:
        for start in ("content", "noise"):
            # From noise there is a longer way to go, in nepers, than from the content.
            more = noise if (name, start) == ("trained", "noise") else {}
            rows.append(System(name, start, {"method": name, **settings[name], **more}))
    return rows


def _network(network: str, steps: int, weights: str = "random") -> System:
    """A network from elsewhere, from the content: its style terms see no detail of noise."""
    name = f"{network} (random)" if weights == "random" else network
    settings = {"method": "pretrained", "network": network, "weights": weights, "iterations": steps}
    return System(name, "content", settings)


def _verma_smith(steps: int) -> list[System]:
    """AlexNet trained here on the bundled instruments, from their start and from ours."""
    settings = {"method": "verma-smith", "iterations": steps}
    return [System("verma-smith", start, settings, "alexnet") for start in ("content", "noise")]


# Fewer steps of Adam, but longer ones, so that they can cover the way from noise.
SCALED = Size(
    "scaled",
    (
        *_papers(
            {"iterations": 100},
            {"iterations": 100, "filters": 512},
            {"iterations": 300, "learning_rate": 0.02},
            {"iterations": 400, "learning_rate": 0.05},
        ),
        _network("soundnet", 100),
        _network("vgg19", 50),
        *_verma_smith(400),
    ),
    filters=512,
    steps=10,
)
FULL = Size(
    "full",
    (
        *_papers(
            {"iterations": 2000},
            {"iterations": 300, "filters": 4096},
            {"iterations": 20_000, "learning_rate": 1e-3},
            {"iterations": 2000, "learning_rate": 0.05},
        ),
        _network("soundnet", 300),
        _network("vgg19", 300),
        *_verma_smith(2000),
    ),
    filters=4096,
)
TINY = Size(
    "tiny",
    (
        *_papers({"iterations": 2}, {"iterations": 2, "filters": 16}, {"iterations": 2}, {})[:2],
        _network("soundnet", 1),
    ),
    filters=16,
    steps=1000,
    pairs=2,
    every=3,
)


def with_weights(size: Size, files: dict[str, Path]) -> Size:
    """With a row for each network of which a person gives weights."""
    steps = max(one.settings["iterations"] for one in size.systems if "network" in one.settings)
    more = tuple(_network(network, steps, str(path)) for network, path in files.items())
    return Size(size.name, (*size.systems, *more), size.filters, size.steps, size.pairs, size.every)
