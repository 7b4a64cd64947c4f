"""The preprocess stage: decode every clip of a data set, resample, cut, keep its spectrogram."""

import dataclasses
import logging
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from audiostyle import artifacts, audio, spectrogram_set
from audiostyle.command import progress
from audiostyle.config import Config
from audiostyle.errors import AudioError, InputError
from audiostyle.spectrogram import SpectrogramConfig, magnitude
from audiostyle.spectrogram_set import Clip, Failure
from components.preprocess.folders import clips_of

log = logging.getLogger(__name__)


class PreprocessConfig(Config):
    """Settings of the stage."""

    spectrogram: SpectrogramConfig = SpectrogramConfig()
    validation: float = Field(0.15, ge=0, lt=1, description="share, where the data has no splits")
    test: float = Field(0.15, ge=0, lt=1, description="share, where the data has no splits")
    seed: int = Field(0, description="of the random split")
    max_failures: float = Field(
        0.01, ge=0, le=1, description="share of unusable files beyond which the stage fails"
    )


def preprocess(data: Path | str, out: Path | str, config: PreprocessConfig) -> None:
    """Write the spectrogram set of a data set.

    data: folder with one sub-folder a class, optionally below train/, validation/, test/.
    Raises InputError where the folder is no data set, or where more than `max_failures` of its
    files cannot be used; fewer are named in the artifact's `failures.jsonl`.
    """
    data = Path(data)
    clips = clips_of(data, seed=config.seed, validation=config.validation, test=config.test)
    results = list_results(data, clips, config.spectrogram)
    about = {"name": data.resolve().name, "clips": len(clips)}
    spectrogram_set.write(
        out, config.spectrogram, about, _bounded(results, len(clips), config.max_failures, data)
    )
    log.info("preprocess: %d clips of %d classes", len(clips), len({c.label for c in clips}))


def list_results(
    root: Path, clips: list[Clip], config: SpectrogramConfig
) -> Iterator[tuple[Clip, Tensor] | Failure]:
    """Spectrogram of every clip, in order.

    Decoding, resampling and FFTs all leave the interpreter's lock, so that threads use every core.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # A bounded look-ahead: `map` alone would decode the whole data set into memory.
        window = 4 * (os.cpu_count() or 1)
        for start in range(0, len(clips), window):
            yield from pool.map(lambda c: _analyse(root, c, config), clips[start : start + window])


def _analyse(root: Path, clip: Clip, config: SpectrogramConfig) -> tuple[Clip, Tensor] | Failure:
    path = root / clip.path
    try:
        recording = audio.require_sound(
            audio.read(path), path, seconds=config.n_fft / config.sample_rate
        )
    except AudioError as error:
        return Failure(clip.path, error.reason)
    samples = audio.mono(audio.resample(recording, config.sample_rate))[: config.clip_samples]
    samples = np.pad(samples, (0, config.clip_samples - len(samples)))
    clip = dataclasses.replace(clip, sha256=artifacts.file_digest(path))
    return clip, magnitude(torch.from_numpy(samples), config)


def _bounded(
    results: Iterable[tuple[Clip, Tensor] | Failure], total: int, share: float, data: Path
) -> Iterator[tuple[Clip, Tensor] | Failure]:
    """Pass results on, and raise InputError as soon as too many of them are failures."""
    failed = 0
    for result in progress(results, "preprocess", total):
        if isinstance(result, Failure):
            failed += 1
            log.warning("preprocess: %s: %s", data / result.path, result.reason)
            if failed > share * total:
                raise InputError(
                    f"{data / result.path}: {result.reason}"
                    f" ({failed} of {total} files cannot be used, max_failures is {share:.2%})"
                )
        yield result
