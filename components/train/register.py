"""Registration: track a training, register its classifier, and let the gate decide on promotion."""

import logging
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiostyle import artifacts, network, spectrogram_set
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.network import Classifier
from audiostyle.registration import Record
from audiostyle.registration import register as register_version
from audiostyle.registry import CHALLENGER, MODEL, Registry, Version
from audiostyle.spectrogram_set import SpectrogramSet
from audiostyle.training_metrics import read_metrics
from components.train import card, figures, protocol, retraining
from components.train.content import content_digest
from components.train.evaluation import probabilities
from components.train.gate import Bools, GateConfig, Verdict, judge

log = logging.getLogger(__name__)

VERDICT = "audiostyle.verdict"


def register(
    classifier: Path | str,
    data: Path | str,
    tracking_uri: str,
    config: GateConfig,
    lineage: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Register a classifier as challenger, and as champion where the gate lets it.

    data: the spectrogram set whose test split candidate and champion are compared on.
    lineage: what is known of how the classifier came about, for the tags of run and version;
    `seconds` is the training's.
    Registering the same classifier again changes nothing, or completes what broke off. Returns
    name, version, uri, verdict and the gate's numbers. Raises AudiostyleError where the registry
    cannot be reached; the classifier stays where it is.
    """
    opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
    clips = _clips_of(opened, data)
    registry = Registry(tracking_uri)
    try:
        version = _register_version(registry, opened, clips, lineage or {})
        with registry.exclusive():  # of two at once, the second is compared with the first
            version = registry.find(str(version.version))
            if VERDICT not in version.tags:
                version = _decide(registry, opened, clips, version, config)
            registry.describe()
    except InputError:
        raise
    except AudiostyleError as error:
        hint = f"the classifier is kept in {opened.folder}; registering again completes this"
        raise AudiostyleError(f"{error} ({hint})") from error
    tags = {
        name: version.tags[f"audiostyle.{name}"]
        for name in ("verdict", "reason", "warning")
        if f"audiostyle.{name}" in version.tags
    }
    log.info("register: %s version %d, %s", MODEL, version.version, tags)
    test = read_metrics(opened)["test"]
    figures = {k: test[k] for k in ("accuracy", "chance") if math.isfinite(test["accuracy"])}
    return {"name": MODEL, "version": str(version.version), "uri": version.uri, **tags, **figures}


def _clips_of(opened: artifacts.Artifact, data: Path | str) -> SpectrogramSet:
    """The set with the splits that the classifier was trained by."""
    clips = spectrogram_set.read(data)
    if fold := opened.config.get("fold"):
        clips = protocol.of_fold(clips, fold, opened.config["train"]["seed"])
    if content_digest(clips) != opened.config.get("content_digest"):
        raise InputError(
            f"{data}: is not what {opened.folder} was trained on, so that what it has not seen"
            " is not known"
        )
    return clips


def _register_version(
    registry: Registry,
    opened: artifacts.Artifact,
    clips: SpectrogramSet,
    lineage: dict[str, str],
) -> Version:
    settings = opened.config["train"]
    metrics = read_metrics(opened)
    about = opened.table("data", "data")
    worth = {
        "data_name": str(about.get("name") or "data"),
        "licenses": card.licenses(clips),
        "accuracy": f"{metrics['test']['accuracy']:.3f}",
        "balanced_accuracy": f"{metrics['test']['balanced_accuracy']:.3f}",
    }
    tags = {f"audiostyle.{key}": value for key, value in (lineage | worth).items() if value}
    if "git_revision" in lineage:
        tags["mlflow.source.git.commit"] = lineage["git_revision"]
    with tempfile.TemporaryDirectory() as folder:
        figures.draw(Path(folder), metrics, artifacts.read_table(opened.path("predictions.jsonl")))
        record = Record(
            parameters=retraining.flat(settings),
            tags=tags | retraining.recipe(opened.config["content_digest"], settings),
            data=worth["data_name"],
            data_digest=opened.config["data_digest"],
            data_profile={"clips": metrics["clips"], "layout": about.get("layout", "")},
            seconds=float(lineage.get("seconds", 0)),
            card=card.write(opened, metrics, clips),
            summary=card.summary(opened, metrics, clips),
            figures=Path(folder),
        )
        return register_version(registry, opened.folder, record)


def _decide(
    registry: Registry,
    opened: artifacts.Artifact,
    clips: SpectrogramSet,
    version: Version,
    config: GateConfig,
) -> Version:
    """Ask the gate and do as it says. The verdict's tag comes last: with it, all else is done."""
    registry.point(CHALLENGER, version)
    verdict = _judge(opened, clips, registry, version, config)
    if verdict.verdict == "promote":
        registry.promote(version)
    tags = {f"audiostyle.{key}": str(value) for key, value in verdict.plain().items()}
    last = {VERDICT: tags.pop(VERDICT)}
    registry.tag(version, tags | last)
    return registry.find(str(version.version))


def _judge(
    opened: artifacts.Artifact,
    clips: SpectrogramSet,
    registry: Registry,
    version: Version,
    config: GateConfig,
) -> Verdict:
    test = read_metrics(opened)["test"]
    champion = registry.champion()
    if champion and champion.version == version.version:
        # Promoted by a registration that broke off before it said so.
        champion = registry.predecessor(champion)
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
