"""From a stylized spectrogram to sound: its phases, its level and format, its peaks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from audiostyle import audio
from audiostyle.audio import Samples, writing
from audiostyle.audio.blocks import Facts, resampled
from audiostyle.completion import report
from audiostyle.spectrogram import SpectrogramConfig
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.peaks import Peaks
from components.reconstruct.phase.retrieval import stream
from components.reconstruct.spool import Spool, at_rate, exactly, spooled

# Room for the overshoot between samples when the file is played or encoded with loss.
PEAK = 10 ** (-1 / 20)
# Times that the rest of a sound is louder at most for peaks that were turned down.
_MAKE_UP = 3.0
# Passes of the limiter that look for that gain, and the loss of level that is near enough: 0.04 dB.
_PASSES, _NEAR = 10, 1.005
# Channels whose phases are computed together: their arrays take up to 400 MB.
_TOGETHER = 8

# Magnitude and phase of a spectrogram in order, each [channels, bins, any frames] float32.
Blocks = Iterable[tuple[Tensor, Tensor]]


class Outline(Protocol):
    """What a result takes from its content."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    @property
    def samples(self) -> int:
        """Of one channel."""

    @property
    def channels(self) -> int:
        """How many there are."""

    @property
    def rms(self) -> float:
        """Root mean square of all channels."""

    @property
    def frames(self) -> int:
        """Of the spectrogram."""


@dataclass(frozen=True)
class Sound:
    """A sound on its way. parts: [channels, any n] float32 in [-1, 1], once, in order.

    sample_rate: Hz. samples: of one channel.
    """

    sample_rate: int
    channels: int
    samples: int
    parts: Iterator[Samples]


def write_sound(
    blocks: Callable[[], Blocks],
    outline: Outline,
    spectrogram: SpectrogramConfig,
    config: ReconstructConfig,
    path: Path,
    tags: Mapping[audio.Tag, str],
    folder: Path | None = None,
) -> None:
    """Write the sound of a spectrogram, a block at a time: memory does not grow with its length.

    blocks, folder: see `sounding`; the folder of `path` by default.
    """
    with (
        sounding(blocks, outline, spectrogram, config, folder or path.parent) as sound,
        writing(
            path,
            sound.sample_rate,
            sound.channels,
            frames=sound.samples,
            subtype=config.subtype,
            tags=tags,
        ) as write,
    ):
        for part in sound.parts:
            write(part)


@contextmanager
def sounding(
    blocks: Callable[[], Blocks],
    outline: Outline,
    spectrogram: SpectrogramConfig,
    config: ReconstructConfig,
    folder: Path | None = None,
) -> Iterator[Sound]:
    """The sound of a spectrogram at the content's rate, channels, length and level, never clipped.

    blocks: gives the spectrogram, from the start at each call: one for every 8 channels. folder:
    for what of a long sound does not stay in memory; the system's by default.
    """
    working = spectrogram.sample_rate
    sounds = (
        exactly(resampled(sound, working, outline.sample_rate), outline.samples)
        for sound in _waveforms(blocks, outline, spectrogram, config)
    )
    mono = config.channels == "mono"
    channels = 1 if mono else outline.channels
    rate = config.sample_rate or outline.sample_rate
    with spooled(sounds, outline.sample_rate, outline.channels, folder) as spool:
        peaks = Peaks(rate)
        # At full level first: resampling overshoots between the samples, and mixing lowers peaks.
        gain = outline.rms / spool.facts.rms if spool.facts.rms else 1.0
        asked = peaks.through(at_rate(spool, gain, rate, mono=mono))
        with spooled([asked], rate, channels, folder) as ready:
            # Common peaks turn all down; rare ones themselves, and the rest makes up for them.
            scale = PEAK / max(peaks.common(), PEAK)
            if scale == 1:
                scale = _make_up(peaks, ready)
            parts = peaks.limited(ready.parts(), scale, PEAK)
            yield Sound(rate, channels, ready.facts.samples, parts)


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


def _waveforms(
    blocks: Callable[[], Blocks],
    outline: Outline,
    spectrogram: SpectrogramConfig,
    config: ReconstructConfig,
) -> Iterator[Iterator[Samples]]:
    """The waveform at the working rate, some channels after the others, in blocks."""
    # As long as the content was at this rate, within what so many frames can mean.
    wanted = round(outline.samples * spectrogram.sample_rate / outline.sample_rate)
    low = spectrogram.hop_length * (outline.frames - 1)
    length = min(max(wanted, low), low + spectrogram.hop_length - 1)
    complete = 0
    for first in range(0, outline.channels, _TOGETHER):
        channels = slice(first, first + _TOGETHER)
        waveform = stream(
            ((magnitude[channels], phase[channels]) for magnitude, phase in blocks()),
            n_iter=config.iterations,
            hop_length=spectrogram.hop_length,
            n_fft=spectrogram.n_fft,
            window=spectrogram.window,
            momentum=config.momentum,
            init=config.init,
            length=length,
            seed=config.seed,
        )

        def parts(waveform: Iterator[Tensor] = waveform) -> Iterator[Samples]:
            nonlocal complete
            for block in waveform:
                samples = np.asarray(block, np.float32)
                complete += samples.size
                report(complete, length * outline.channels)
                yield samples

        yield parts()


def tags_of(
    sources: Mapping[str, str], settings: Mapping[str, Any], config: ReconstructConfig
) -> dict[audio.Tag, str]:
    """What a file itself says of how it was made. sources: names of content and style."""
    origin = {"model": settings.get("model", ""), "seed": settings.get("seed", "")}
    origin["phase seed"] = config.seed
    return {
        "title": f"{sources['content']} in the style of {sources['style']}",
        "comment": "; ".join(f"{name}: {value}" for name, value in origin.items() if value != ""),
        "software": f"audiostyle {version('audiostyle')}",
    }
