"""Sounds that callers of the library pass: paths, or samples with their rate, checked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audiostyle import audio
from audiostyle.audio import RATES, Recording, Samples
from audiostyle.audio.decoding import LOUDEST
from audiostyle.errors import AudioError, InputError
from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.session import Session
from components.stylize.spectra import Source
from pipeline.styles import recording_of as medley_of
from pipeline.styles import shares_of, style_of

# A file, or samples with their rate in Hz: [channels, frames], or [frames] of one channel.
Sound = Path | str | tuple[npt.ArrayLike, int]

_MOST_CHANNELS = 1024


def sound_of(name: str, sound: Sound) -> Path | Recording:
    """A file's path, or a recording in memory. Raises InputError by name."""
    if isinstance(sound, str | Path):
        return Path(sound)
    if not isinstance(sound, tuple | list) or len(sound) != 2:
        raise InputError(
            f"{name}: a path or (samples, rate) is needed (got {type(sound).__name__})"
        )
    return recording_of(name, *sound)


def style_sound(
    style: Sound | list[Sound], shares: Sequence[float] | None, folder: Path
) -> Path | Recording:
    """`sound_of` a style. Several recordings become one, with the share of each, in `folder`."""
    if not isinstance(style, list):
        if shares is not None:
            raise InputError("shares: only a list of styles has them")
        return sound_of("style", style)
    texts = []
    for number, each in enumerate(style):
        sound = sound_of("style", each)
        if isinstance(sound, Recording):
            path = folder / f"style-{number}.wav"
            samples = sound.samples / max(1.0, float(np.abs(sound.samples).max()))
            audio.write(path, samples, sound.sample_rate, subtype="FLOAT")
            sound = path
        texts.append(str(sound))
    return Path(medley_of(style_of(texts, shares_of(list(shares or ()))), folder))


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
    if isinstance(rate, bool) or rate != int(rate) or not RATES[0] <= rate <= RATES[1]:
        raise InputError(
            f"{name}: a sample rate from {RATES[0]} to {RATES[1]} Hz is needed (got {rate!r:.80})"
        )
    return Recording(array, int(rate))


def floats_of(name: str, samples: npt.ArrayLike) -> Samples:
    """Numbers that were given, as float32. Raises InputError by name."""
    array = np.asarray(samples)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{name}: floats in [-1, 1] are needed (got {array.dtype}); divide integers by their"
            " full scale"
        )
    if not np.isfinite(array).all() or np.abs(array).max(initial=0) > LOUDEST:
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
