"""The reconstruct stage: stylized spectrograms in, recordings and a report page out."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from audiostyle import artifacts, files, stylized_set
from audiostyle.progress import progress
from audiostyle.training_metrics import read_metrics
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.formats import check_format
from components.reconstruct.measures.registry import measured
from components.reconstruct.report.page import Item, Training, headline_metrics, write_report
from components.reconstruct.sound import tags_of, write_sound

log = logging.getLogger(__name__)


def reconstruct(
    stylized: Path | str,
    out: Path | str,
    config: ReconstructConfig,
    classifier: Path | str | None = None,
    registration: dict[str, Any] | None = None,
    *,
    report: bool = True,
) -> dict[str, float]:
    """Write the audio set of a stylized set: `ID.wav` a file, `items.jsonl`, `report.html`.

    classifier: the artifact whose training the page shows. registration: what the
    registry says of it (name, version, verdict, reason). report: whether to make the page.
    Returns the report's headline figures. Each file has the content's sample rate, channels,
    length and level, and is never clipped.
    """
    inputs = stylized_set.read(stylized)
    for item in inputs.items:
        check_format(
            item.id,
            config,
            channels=item.channels,
            sample_rate=item.sample_rate,
            samples=item.samples,
        )
    training = read_training(classifier, registration or {}) if classifier else None
    items = []
    rows = []
    about = {"reconstruct": config.plain(), "stylized": inputs.artifact.config}
    with artifacts.writing(out, artifacts.AUDIO_SET, about) as folder:
        for item in progress(inputs.items, "reconstruct", len(inputs.items)):
            path = folder / f"{item.id}.{config.format}"
            write_sound(
                partial(inputs.blocks, item),
                item,
                inputs.spectrogram,
                config,
                path,
                tags_of(item.sources, item.settings, config),
            )
            sources = {role: inputs.audio_path(item, role) for role in item.sources}
            figures = measured(path, sources)
            shown = Item(item.id, {**sources, "result": path}, figures, item.losses, item.settings)
            items.append(replace(shown, names=item.sources, heard=item.heard))
            rows.append({"id": item.id, "file": path.name, "sources": item.sources, **figures})
        artifacts.write_table(folder / "items.jsonl", rows)
        if report:
            model = inputs.artifact.table("model")
            write_report(folder, items, training, title=config.title, model=model)
    log.info("reconstruct: %d recordings, %s", len(items), out)
    return headline_metrics(items, training)


def read_training(classifier: Path | str, registration: dict[str, Any]) -> Training:
    """What the report says of a classifier artifact and its registration."""
    opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
    metrics = read_metrics(opened)
    test = metrics["test"]
    return Training(
        history=[{k: v for k, v in row.items() if k != "seconds"} for row in metrics["history"]],
        class_names=list(test["per_class"]),
        confusion=test["confusion"],
        accuracy={
            "test accuracy": test["accuracy"],
            "balanced test accuracy": test["balanced_accuracy"],
            "chance": test["chance"],
        },
        verdict={
            k: v
            for k, v in registration.items()
            if k not in ("name", "version", "accuracy", "chance")
        },
        model={
            **{k: registration[k] for k in ("name", "version") if k in registration},
            "data": str(opened.table("data", "data").get("name", "")),
            "clips": ", ".join(f"{n} {split}" for split, n in metrics["clips"].items()),
        },
    )


def publish(audio_set: Path | str, folder: Path | str, names: dict[str, str] | None = None) -> None:
    """Copy the recordings and the report of an audio set to where a person wants them.

    names: file in the set -> name in `folder`; everything under its own name by default. Files of
    the same names are replaced, each as a whole; nothing else in `folder` is touched.
    """
    opened = artifacts.opening(audio_set, artifacts.AUDIO_SET)
    for name, called in (names or {name: name for name in opened.manifest.files}).items():
        target = Path(folder) / called
        files.copy(opened.path(name), target, durable=True)
