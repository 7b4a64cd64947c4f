"""Registration: track a training, register its classifier, and let the gate decide on promotion."""

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiostyle import artifacts, network, spectrogram_set
from audiostyle.network import Classifier
from audiostyle.registry import CHALLENGER, MODEL, Registry, Version
from audiostyle.spectrogram_set import SpectrogramSet
from components.train.evaluation import probabilities
from components.train.gate import Bools, GateConfig, Verdict, judge

log = logging.getLogger(__name__)


def register(
    classifier: Path | str,
    data: Path | str,
    tracking_uri: str,
    config: GateConfig,
    tags: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Register a classifier as challenger, and as champion where the gate lets it.

    data: the spectrogram set whose test split candidate and champion are compared on.
    Registering the same classifier again changes nothing. Returns name, version, uri, verdict
    and the gate's numbers.
    """
    registry = Registry(tracking_uri)
    opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
    parameters = _flat(opened.config.get("train", {}))
    version = registry.register(opened.folder, parameters, tags or {})
    if "audiostyle.verdict" not in version.tags:
        verdict = _judge(opened, spectrogram_set.read(data), registry, config)
        registry.point(CHALLENGER, version)
        registry.tag(version, {f"audiostyle.{k}": str(v) for k, v in verdict.plain().items()})
        if verdict.verdict == "promote":
            registry.promote(version)
        version = registry.find(str(version.version))
    told = {
        key.removeprefix("audiostyle."): value
        for key, value in version.tags.items()
        if key in ("audiostyle.verdict", "audiostyle.reason")
    }
    log.info("register: %s version %d, %s", MODEL, version.version, told)
    return {"name": MODEL, "version": str(version.version), "uri": version.uri, **told}


def _judge(
    opened: artifacts.Artifact, clips: SpectrogramSet, registry: Registry, config: GateConfig
) -> Verdict:
    test = json.loads(opened.path("metrics.json").read_text(encoding="utf-8"))["test"]
    champion = registry.champion()
    if champion is None:
        return judge(test, config, None, None)
    candidate = network.load(opened.folder)
    with tempfile.TemporaryDirectory() as folder:
        rival = _load(registry, champion, Path(folder))
    if (rival.class_names, rival.spectrogram) != (candidate.class_names, candidate.spectrogram):
        reason = (
            f"the champion, version {champion.version}, tells other classes or spectrograms apart"
        )
        return Verdict("hold", f"{reason}; promote by hand if this one is to replace it", {})
    return judge(test, config, _correct(candidate, clips), _correct(rival, clips))


def _load(registry: Registry, version: Version, folder: Path) -> Classifier:
    local = registry.download(version, folder)
    return network.load(artifacts.opening(local, artifacts.CLASSIFIER).folder)


def _correct(model: Classifier, clips: SpectrogramSet) -> Bools:
    """Whether each clip of the test split is classified rightly. Output: [n]."""
    where = set(clips.where("test").tolist())
    hits: list[torch.Tensor] = []
    labels = clips.labels()
    start = 0
    for shard in clips.shards():
        index = [i for i in range(start, start + len(shard)) if i in where]
        start += len(shard)
        if index:
            part = shard[torch.tensor(index) - (start - len(shard))]
            predicted = probabilities(model, model.represent(part)).argmax(1)
            hits.append(predicted == labels[torch.tensor(index)])
    result: Bools = torch.cat(hits).numpy() if hits else np.zeros(0, bool)
    return result


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names, for MLflow's table of parameters."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat
