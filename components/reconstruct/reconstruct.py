"""The reconstruct stage: stylized spectrograms in, recordings and a report page out."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from audiostyle import artifacts, audio, files, stylized_set
from audiostyle.audio import Samples, writing
from audiostyle.audio.blocks import Facts, resampled
from audiostyle.progress import progress
from audiostyle.stylized_set import StylizedSet
from audiostyle.training_metrics import read_metrics
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.formats import check_format
from components.reconstruct.measures.registry import measured
from components.reconstruct.peaks import Peaks
from components.reconstruct.phase.retrieval import stream
from components.reconstruct.report.page import Item, Training, headline_metrics, write_report
from components.reconstruct.spool import Spool, at_rate, exactly, spooled

log = logging.getLogger(__name__)

# Room for the overshoot between samples when the file is played or encoded with loss.
PEAK = 10 ** (-1 / 20)
# Times that the rest of a sound is louder at most for peaks that were turned down.
_MAKE_UP = 1.5
# Passes of the limiter that look for that gain, and the loss of level that is near enough: 0.04 dB.
_PASSES, _NEAR = 6, 1.005
# Channels whose phases are computed together: their arrays take up to 400 MB.
_TOGETHER = 8


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
            _write_sound(inputs, item, config, path)
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


def _write_sound(
    inputs: StylizedSet, item: stylized_set.Item, config: ReconstructConfig, path: Path
) -> None:
    """Write an item's sound, a block at a time: memory does not grow with its length."""
    working = inputs.spectrogram.sample_rate
    sounds = (
        exactly(resampled(sound, working, item.sample_rate), item.samples)
        for sound in _sounds(inputs, item, config)
    )
    mono = config.channels == "mono"
    channels = 1 if mono else item.channels
    rate = config.sample_rate or item.sample_rate
    with spooled(sounds, item.sample_rate, item.channels, path.parent) as spool:
        peaks = Peaks(rate)
        # At full level first: resampling overshoots between the samples, and mixing lowers peaks.
        gain = item.rms / spool.facts.rms if spool.facts.rms else 1.0
        asked = peaks.through(at_rate(spool, gain, rate, mono=mono))
        with spooled([asked], rate, channels, path.parent) as ready:
            # Common peaks turn all down; rare ones themselves, and the rest makes up for them.
            scale = PEAK / max(peaks.common(), PEAK)
            if scale == 1:
                scale = _make_up(peaks, ready)
            with writing(
                path,
                rate,
                channels,
                frames=ready.facts.samples,
                subtype=config.subtype,
                tags=_tags(item, config),
            ) as write:
                for part in peaks.limited(ready.parts(), scale, PEAK):
                    write(part)


def _make_up(peaks: Peaks, ready: Spool) -> float:
    """Gain before the limiter by which a sound has after it the level that it had before."""
    gain = 1.0
    for _ in range(_PASSES):
        limited = Facts(ready.facts.sample_rate, ready.facts.channels)
        for _part in limited.through(peaks.limited(ready.parts(), gain, PEAK)):
            pass
        lost = ready.facts.rms / max(limited.rms, 1e-12)
        if lost < _NEAR or gain == _MAKE_UP:
            break
        # More gain is limited more, so that each pass brings a part of what is missing.
        gain = min(gain * lost, _MAKE_UP)
    return gain


def _sounds(
    inputs: StylizedSet, item: stylized_set.Item, config: ReconstructConfig
) -> Iterator[Iterator[Samples]]:
    """An item's waveform at the working rate, some channels after the others, in blocks."""
    spectrogram = inputs.spectrogram
    # As long as the content was at this rate, within what so many frames can mean.
    wanted = round(item.samples * spectrogram.sample_rate / item.sample_rate)
    low = spectrogram.hop_length * (item.frames - 1)
    for first in range(0, item.channels, _TOGETHER):
        channels = slice(first, first + _TOGETHER)
        blocks = stream(
            ((magnitude[channels], phase[channels]) for magnitude, phase in inputs.blocks(item)),
            n_iter=config.iterations,
            hop_length=spectrogram.hop_length,
            n_fft=spectrogram.n_fft,
            window=spectrogram.window,
            momentum=config.momentum,
            init=config.init,
            length=min(max(wanted, low), low + spectrogram.hop_length - 1),
            seed=config.seed,
        )
        yield (np.asarray(block, np.float32) for block in blocks)


def _tags(item: stylized_set.Item, config: ReconstructConfig) -> dict[audio.Tag, str]:
    """What the file itself says of how it was made."""
    sources = item.sources
    origin = {"model": item.settings.get("model", ""), "seed": item.settings.get("seed", "")}
    origin["phase seed"] = config.seed
    return {
        "title": f"{sources['content']} in the style of {sources['style']}",
        "comment": "; ".join(f"{name}: {value}" for name, value in origin.items() if value != ""),
        "software": f"audiostyle {version('audiostyle')}",
    }


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
