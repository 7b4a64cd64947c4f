"""Is a training worth its time: do data, settings or release differ from those of the champion?

Three digests, kept as tags of each version, say what a training is made of. A folder's name, the
order of files, the device and the low bits of a spectrogram on another machine are none of it.
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from audiostyle import artifacts, spectrogram_set
from audiostyle.registry import CHALLENGER, MODEL, Registry, Version
from components.train.config import TrainConfig
from components.train.content import content_digest

TRAIN = "train"
SKIP = "skip"
# Tags of a version, in the order in which differences are named.
DATA, SETTINGS, RELEASE = (f"audiostyle.{part}" for part in ("data", "settings", "release"))


@dataclass(frozen=True)
class Decision:
    """The word `train` or `skip` (kfp conditions on words), why, and the version that stays."""

    decision: str
    reason: str
    version: Version | None = None

    def registration(self) -> dict[str, Any]:
        """The version that stays, with the keys of a registration; empty without one."""
        if self.version is None:
            return {}
        return {
            "name": MODEL,
            "version": str(self.version.version),
            "uri": self.version.uri,
            "verdict": "unchanged",
            "reason": self.reason,
        }


def recipe(content: str, settings: dict[str, Any]) -> dict[str, str]:
    """Tags that say what a training is made of.

    content: output of `content_digest`. settings: of TrainConfig, plain; those without an effect on
    the result are left out.
    """
    what = TrainConfig.decisive(settings)
    return {
        DATA: content,
        SETTINGS: artifacts.digest_of(what),
        RELEASE: f"audiostyle {version('audiostyle')}, classifier format"
        f" {artifacts.VERSIONS[artifacts.CLASSIFIER]}",
    }


def flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names, for MLflow's table of parameters."""
    one: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            one |= flat(value, f"{above}{key}.")
        else:
            one[f"{above}{key}"] = value
    return one


def decide(data: Path | str, tracking_uri: str, config: TrainConfig) -> Decision:
    """Train, unless the champion came of the same data, settings and release.

    data: a spectrogram set. A challenger that did and was held is as good a reason to skip: the
    same training would be held again. Raises AudiostyleError where the registry cannot be asked.
    """
    registry = Registry(tracking_uri)
    champion = registry.champion()
    if champion is None:
        return Decision(TRAIN, "there is no champion yet")
    settings = config.plain()
    mine = recipe(content_digest(spectrogram_set.read(data)), settings)
    differing = _differing(mine, champion)
    if not differing:
        return Decision(SKIP, f"version {champion.version}, the champion, is of the same", champion)
    challenger = registry.latest(CHALLENGER)
    if challenger and not _differing(mine, challenger):
        held = f"version {challenger.version} is of the same, and was held; see its reason"
        return Decision(SKIP, held, challenger)
    before = registry.parameters(champion)
    names = "; ".join(_difference(tag, before, settings) for tag in differing)
    return Decision(TRAIN, f"not as for version {champion.version}: {names}")


def _differing(mine: dict[str, str], version: Version) -> list[str]:
    return [tag for tag, value in mine.items() if version.tags.get(tag) != value]


def _difference(tag: str, before: dict[str, str], settings: dict[str, Any]) -> str:
    """One difference in words; of settings, each by name."""
    name = tag.removeprefix("audiostyle.")
    if tag != SETTINGS:
        return name
    now = {key: str(value) for key, value in flat(settings).items()}
    changes = [
        f"{key} {before.get(key, 'unset')} -> {now.get(key, 'unset')}"
        for key in sorted({*before, *now} - TrainConfig.without_effect())
        if before.get(key) != now.get(key)
    ]
    return f"{name} ({', '.join(changes)})" if changes else name
