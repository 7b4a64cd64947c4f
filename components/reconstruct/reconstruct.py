"""The reconstruct stage: stylised spectrograms in, recordings and a report page out."""

import json
import logging
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from torch import Tensor

from audiostyle import artifacts, audio, stylized_set
from audiostyle.audio import Recording, Samples, Subtype
from audiostyle.command import progress
from audiostyle.config import Config
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.stylized_set import StylizedSet
from components.reconstruct.measures import measures
from components.reconstruct.phase import griffin_lim
from components.reconstruct.report import Item, Training, headline_metrics, write_report

log = logging.getLogger(__name__)

# Room for the overshoot between samples when the file is played or encoded with loss.
PEAK = 10 ** (-1 / 20)


class ReconstructConfig(Config):
    """Settings of the stage."""

    init: Literal["auto", "random", "pghi", "phase"] = Field(
        "auto", description="phase to start from; phase is the content's"
    )
    iterations: int = Field(64, ge=0, description="of Griffin-Lim")
    momentum: float = Field(
        0.99, ge=0, description="0 is Griffin and Lim 1984, 0.99 Perraudin 2013"
    )
    seed: int = Field(0, description="of the random phase")
    format: Literal["wav", "flac"] = Field("wav", description="of the files")
    subtype: Subtype = Field("PCM_16", description="PCM_16, PCM_24 or FLOAT (WAV only)")
    sample_rate: int | None = Field(
        None, ge=4000, le=192000, description="Hz; the content's where not given"
    )
    channels: Literal["content", "mono"] = Field("content", description="of the files")
    title: str = Field("Audio style transfer", description="of the report page")


def reconstruct(
    stylized: Path | str,
    out: Path | str,
    config: ReconstructConfig,
    classifier: Path | str | None = None,
    registration: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Write the audio set of a stylised set: `ID.wav` a file, `items.jsonl`, `report.html`.

    classifier: the artifact whose training is to be told on the page. registration: what the
    registry says of it (name, version, verdict, reason). Returns the report's headline figures.
    Each file has the content's sample rate, channels, length and level, and is never clipped.
    """
    audio.check_writable(f"out.{config.format}", config.subtype)
    made = stylized_set.read(stylized)
    training = read_training(classifier, registration or {}) if classifier else None
    items = []
    rows = []
    about = {"reconstruct": config.plain(), "stylized": made.artifact.config}
    with artifacts.writing(out, artifacts.AUDIO_SET, about) as folder:
        for item in progress(made.items, "reconstruct", len(made.items)):
            result = _asked(Recording(_samples(made, item, config), item.sample_rate), config)
            path = folder / f"{item.id}.{config.format}"
            audio.write(
                path,
                result.samples,
                result.sample_rate,
                subtype=config.subtype,
                tags=_tags(item, config),
            )
            sources = {role: made.audio_path(item, role) for role in item.sources}
            decoded = {role: audio.read(source) for role, source in sources.items()}
            figures = measures(result, decoded["content"], decoded.get("target"))
            items.append(
                Item(item.id, {**sources, "result": path}, figures, item.losses, item.settings)
            )
            rows.append({"id": item.id, "file": path.name, "sources": item.sources, **figures})
        artifacts.write_table(folder / "items.jsonl", rows)
        model = dict(made.artifact.config.get("model") or {})
        write_report(folder, items, training, title=config.title, model=model)
    log.info("reconstruct: %d recordings, %s", len(items), Path(out) / "report.html")
    return headline_metrics(items, training)


def _samples(made: StylizedSet, item: stylized_set.Item, config: ReconstructConfig) -> Samples:
    """Waveform of an item at the content's rate, length and level. Output: [channels, n]."""
    magnitude, phase = made.load(item)
    samples = _invert(magnitude, phase, made.spectrogram, config)
    recording = audio.resample(Recording(samples, made.spectrogram.sample_rate), item.sample_rate)
    exact = recording.samples[:, : item.samples]
    # Two roundings, of the working length and of the resampler, can cost a sample at the end.
    exact = np.pad(exact, ((0, 0), (0, item.samples - exact.shape[1])))
    return level(exact, item.rms)


def _asked(recording: Recording, config: ReconstructConfig) -> Recording:
    """The recording at the sample rate and channel count that the settings ask for."""
    if config.channels == "mono":
        recording = Recording(audio.mono(recording)[None], recording.sample_rate)
    if config.sample_rate:
        recording = audio.resample(recording, config.sample_rate)
    # Resampling overshoots between the samples that the level was set by.
    over = max(1.0, float(np.abs(recording.samples).max()))
    return Recording(recording.samples / np.float32(over), recording.sample_rate)


def _tags(item: stylized_set.Item, config: ReconstructConfig) -> dict[audio.Tag, str]:
    """What the file itself says of how it was made."""
    sources = item.sources
    made = {"model": item.settings.get("model", ""), "seed": item.settings.get("seed", "")}
    made["phase seed"] = config.seed
    return {
        "title": f"{sources['content']} in the style of {sources['style']}",
        "comment": "; ".join(f"{name}: {value}" for name, value in made.items() if value != ""),
        "software": f"audiostyle {version('audiostyle')}",
    }


def _invert(
    magnitude: Tensor, phase: Tensor, spectrogram: SpectrogramConfig, config: ReconstructConfig
) -> Samples:
    samples = griffin_lim(
        magnitude,
        n_iter=config.iterations,
        hop_length=spectrogram.hop_length,
        n_fft=spectrogram.n_fft,
        window=spectrogram.window,
        momentum=config.momentum,
        init=config.init,
        phase=phase,
        seed=config.seed,
    )
    return np.asarray(samples, np.float32)


def level(samples: Samples, rms: float) -> Samples:
    """Scale to a root mean square level, or as near to it as a peak of -1 dBFS allows."""
    own = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    peak = float(np.abs(samples).max())
    if own == 0:
        return samples
    return samples * np.float32(min(rms / own, PEAK / peak))


def read_training(classifier: Path | str, registration: dict[str, Any]) -> Training:
    """What the report says of a classifier artifact and its registration."""
    opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
    metrics = json.loads(opened.path("metrics.json").read_text(encoding="utf-8"))
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
        verdict={k: v for k, v in registration.items() if k not in ("name", "version")},
        model={
            **{k: registration[k] for k in ("name", "version") if k in registration},
            "data": (opened.config.get("data") or {}).get("data", {}).get("name", ""),
            "clips": ", ".join(f"{n} {split}" for split, n in metrics["clips"].items()),
        },
    )


def publish(made: Path | str, folder: Path | str, names: dict[str, str] | None = None) -> None:
    """Copy the recordings and the report of an audio set to where a person wants them.

    names: file in the set -> name in `folder`; everything under its own name by default. Files of
    the same names are replaced, each as a whole; nothing else in `folder` is touched.
    """
    opened = artifacts.opening(made, artifacts.AUDIO_SET)
    for name, called in (names or {name: name for name in opened.manifest.files}).items():
        target = Path(folder) / called
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.part")
        try:
            shutil.copyfile(opened.path(name), temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
