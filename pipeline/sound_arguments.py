"""Sounds that callers of the library pass: paths, or samples with their rate, checked."""

import contextlib
import numbers
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from audiostyle import audio
from audiostyle.audio import RATES, Recording, Samples
from audiostyle.audio.decoding import LOUDEST
from audiostyle.errors import AudioError, InputError
from audiostyle.recordings import local_file, output_file, place_of
from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.session import Session
from components.stylize.spectra import Source
from pipeline.styles import named_style
from pipeline.styles import recording_of as medley_of

# A file, s3://bucket/key, or samples with their rate in Hz: [channels, frames], or [frames] of one
# channel.
Sound = Path | str | tuple[npt.ArrayLike, int]

_MOST_CHANNELS = 1024


@contextlib.contextmanager
def local_sound(name: str, sound: Sound) -> Iterator[Path | Recording]:
    """A file's path, or a recording in memory; an object is fetched, and removed at the end.

    Raises InputError by name, and StoreUnavailableError where a store fails.
    """
    if isinstance(sound, str | Path):
        with local_file(_place(name, sound)) as path:
            yield path
        return
    yield _in_memory(name, sound)


@contextlib.contextmanager
def local_style(
    style: Sound | list[Sound], shares: Sequence[float] | None, folder: Path
) -> Iterator[Path | Recording]:
    """`local_sound` of a style. Several recordings become one, with the share of each, in `folder`.

    A text may also be a folder, or a class of a data set, as `styles.style_of` reads them.
    """
    if not isinstance(style, list):
        if shares is not None:
            raise InputError("shares: only a list of styles has them")
        if not isinstance(style, str | Path):
            yield _in_memory("style", style)
            return
        style = [style]
    texts: list[str] = []
    names: dict[str, str] = {}
    for number, each in enumerate(style):
        if isinstance(each, str | Path):
            texts.append(str(each))
            continue
        name = f"style[{number}]"
        recording = _in_memory(name, each)
        path = folder / f"style-{number}.wav"
        names[str(path)] = name
        samples = recording.samples / max(1.0, float(np.abs(recording.samples).max()))
        audio.write(path, samples, recording.sample_rate, subtype="FLOAT")
        texts.append(str(path))
    if shares is not None and not isinstance(shares, Iterable):
        raise InputError(f"shares: a number for each style is needed (got {shares!r:.80})")
    try:
        place = medley_of(named_style(texts, [] if shares is None else list(shares)), folder)
    except AudioError as error:
        raise InputError(f"{names.get(error.path, error.path)}: {error.reason}") from None
    with local_file(place) as path:
        yield path


def read_sound(name: str, sound: Sound) -> Recording:
    """A sound in memory, whole. Raises the errors of `local_sound`, and AudioError."""
    with local_sound(name, sound) as local:
        return local if isinstance(local, Recording) else audio.read(local)


@contextlib.contextmanager
def written(path: Path | str) -> Iterator[Path]:
    """Where to write a recording that goes to a file or an object; see `output_file`."""
    with (
        tempfile.TemporaryDirectory(prefix="audiostyle-") as folder,
        output_file(_place("path", path), Path(folder)) as file,
    ):
        yield file


def _in_memory(name: str, sound: object) -> Recording:
    if not isinstance(sound, tuple | list) or len(sound) != 2:
        raise InputError(
            f"{name}: a path or (samples, rate) is needed (got {type(sound).__name__})"
        )
    return recording_of(name, *sound)


def _place(name: str, path: Path | str) -> Path | str:
    return path if isinstance(path, Path) else place_of(name, path)


def recording_of(name: str, samples: npt.ArrayLike, rate: int) -> Recording:
    """Samples that were given as a recording [channels, frames]. Raises InputError by name."""
    array = np.atleast_2d(floats_of(name, samples))
    if array.ndim != 2 or not array.size:
        raise InputError(f"{name}: shape (channels, frames) is needed (got {array.shape})")
    if len(array) > min(_MOST_CHANNELS, max(8, array.shape[1])):
        raise InputError(
            f"{name}: shape {array.shape} is {len(array)} channels; where frames come first, pass"
            " samples.T"
        )
    return Recording(array, _rate_of(name, rate))


def _rate_of(name: str, rate: Any) -> int:
    """A sample rate in Hz of any type of number. Raises InputError by name."""
    if isinstance(rate, np.ndarray | torch.Tensor) and rate.ndim == 0:
        rate = rate.item()
    is_number = isinstance(rate, numbers.Real) and not isinstance(rate, bool)
    if not is_number or not RATES[0] <= rate <= RATES[1] or rate != int(rate):
        raise InputError(
            f"{name}: a sample rate from {RATES[0]} to {RATES[1]} Hz is needed (got {rate!r:.80})"
        )
    return int(rate)


def floats_of(name: str, samples: npt.ArrayLike) -> Samples:
    """Numbers that were given, as float32. Raises InputError by name."""
    if isinstance(samples, torch.Tensor):
        samples = samples.detach().cpu()
        samples = samples.float() if samples.is_floating_point() else samples
    try:
        array = np.asarray(samples)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: is no array of numbers: {error}") from None
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{name}: floats in [-1, 1] are needed (got {array.dtype}); divide integers by their"
            " full scale"
        )
    if not np.isfinite(array).all() or float(np.abs(array).max(initial=0)) > LOUDEST:
        raise InputError(f"{name}: holds samples that are not finite numbers")
    return np.ascontiguousarray(array, np.float32)


def heard_by(
    session: Session, name: str, sound: Path | Recording, config: SpectrogramConfig
) -> Source:
    """A sound as the stage reads it. Raises InputError by name."""
    if isinstance(sound, Path):
        return session.hear(sound, config)
    try:
        return session.hear_samples(name, sound, config)
    except AudioError as error:
        raise InputError(f"{name}: {error.reason}") from None
