"""Spectrograms of recordings of any length, a block at a time."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.artifacts import bytes_digest, file_digest
from audiostyle.audio import Recording, Samples, blocks
from audiostyle.audio.blocks import Facts
from audiostyle.errors import AudioError
from audiostyle.spectrogram import SpectrogramConfig, window_of
from components.stylize.windows import Windows

# A style clip that is longer is heard in so many parts, evenly spread over it.
_STYLE_PARTS = 20


@dataclass(frozen=True)
class Source:
    """A recording that was read once. frames: of its spectrogram; power: mean of them, [bins].

    transform: its parts, where it is short enough to stay in memory; see `spectra`. recording: its
    samples, where they are in memory, and `path` only names them.
    """

    path: Path
    digest: str
    facts: Facts
    frames: int
    power: Tensor
    transform: tuple[Tensor, ...] = ()
    recording: Recording | None = None


def examine(
    path: Path, config: SpectrogramConfig, keep: int = 0, recording: Recording | None = None
) -> Source:
    """Read a recording once. Raises AudioError where it is unusable, silent or under one frame.

    keep: how many frames of stereo it may have at most for its transform to stay in memory.
    recording: its samples, where `path` is only what errors name it by.
    """
    if recording:
        facts = Facts(recording.sample_rate, len(recording.samples))
    else:
        facts = blocks.facts(path)
    plain = _analyzed(facts.through(_parts(path, recording)), facts, config, keep)
    blocks.require_sound(facts, path, seconds=config.n_fft / config.sample_rate)
    if facts.offsets.any():  # which is known only now
        plain = _analyzed(_centered(path, recording, facts), facts, config, keep)
    frames, power, transform = plain
    digest = _digest(recording) if recording else file_digest(path)
    return Source(path, digest, facts, frames, power, transform, recording)


def _digest(recording: Recording) -> str:
    """SHA-256 of the samples, their rate and their number of channels."""
    about = f"{recording.sample_rate} {len(recording.samples)} ".encode()
    return bytes_digest(about + np.ascontiguousarray(recording.samples).tobytes())


def _parts(path: Path, recording: Recording | None) -> Iterator[Samples]:
    return blocks.parts_of(recording) if recording else blocks.blocks(path)


def _analyzed(
    parts: Iterable[Samples], facts: Facts, config: SpectrogramConfig, keep: int
) -> tuple[int, Tensor, tuple[Tensor, ...]]:
    """Frames, mean power [bins] and, of a short recording, the transform. See `examine`."""
    power = torch.zeros(config.bins, dtype=torch.float64)
    frames = 0
    transform: list[Tensor] = []
    working = blocks.resampled(parts, facts.sample_rate, config.sample_rate)
    for spectrum in transformed(working, config):
        frames += spectrum.shape[2]
        power += together(spectrum).square().sum(1, dtype=torch.float64)
        short = frames * facts.channels <= 2 * keep
        transform = [*transform, spectrum] if short else []
    return frames, (power / max(1, frames)).float(), tuple(transform)


def spectra(source: Source, config: SpectrogramConfig) -> Iterator[Tensor]:
    """Transform of the whole recording in order, complex64 [channels, bins, any frames].

    Raises AudioError where the file is no longer what it was.
    """
    if source.transform:
        yield from source.transform
        return
    facts = source.facts
    parts = _centered(source.path, source.recording, facts)
    working = blocks.resampled(parts, facts.sample_rate, config.sample_rate)
    yield from transformed(working, config)


def _centered(path: Path, recording: Recording | None, facts: Facts) -> Iterator[Samples]:
    """Blocks of a recording without its constant offset."""
    offsets = facts.offsets
    samples = 0
    for part in _parts(path, recording):
        samples += part.shape[1]
        if samples > facts.samples:
            break
        yield part - offsets if offsets.any() else part
    if samples != facts.samples:
        raise AudioError(path, f"changed while it was read: it had {facts.samples} samples")


def together(spectrum: Tensor) -> Tensor:
    """Magnitude of the energy of all channels, [channels, bins, n] -> [bins, n].

    Not of their mix, in which channels of opposite phase would cancel.
    """
    return spectrum.abs().square().mean(0).sqrt()


def windows_of(source: Source, windows: Windows, config: SpectrogramConfig) -> Iterator[Tensor]:
    """Magnitudes of each window in turn, [bins, windows.frames], all channels together."""
    waiting = deque(windows.starts)
    held = torch.empty(config.bins, 0)
    first = 0  # frame of the recording that `held` begins with
    for spectrum in spectra(source, config):
        held = torch.cat([held, together(spectrum)], 1)
        while waiting and waiting[0] + windows.frames <= first + held.shape[1]:
            begin = waiting.popleft() - first
            yield held[:, begin : begin + windows.frames].clone()
        gone = (waiting[0] if waiting else first + held.shape[1]) - first
        held, first = held[:, gone:], first + gone
    if waiting:  # a recording shorter than its window, which goes on backwards from the end
        lacking = windows.frames - held.shape[1]
        yield functional.pad(held[None], (0, lacking), mode="reflect")[0]


def style_magnitude(source: Source, config: SpectrogramConfig) -> Tensor:
    """Magnitudes of all channels together, [bins, frames]; of a long recording, of parts of it."""
    parts = []
    most = _STYLE_PARTS * config.clip_frames
    starts = [0]
    if source.frames > most:
        room = source.frames - config.clip_frames
        starts = [room * number // (_STYLE_PARTS - 1) for number in range(_STYLE_PARTS)]
    length = config.clip_frames if source.frames > most else source.frames
    at = 0
    for spectrum in spectra(source, config):
        magnitude = together(spectrum)
        for start in starts:
            low, high = max(start - at, 0), min(start + length - at, magnitude.shape[1])
            if low < high:
                parts.append(magnitude[:, low:high])
        at += magnitude.shape[1]
    return torch.cat(parts, 1)


def transformed(parts: Iterable[Samples], config: SpectrogramConfig) -> Iterator[Tensor]:
    """`spectrogram.stft` of a signal that comes in blocks [channels, n]: the same frames."""
    window = window_of(config)
    half = config.n_fft // 2
    held: Tensor | None = None
    for part in parts:
        samples = torch.from_numpy(np.asarray(part, np.float32))
        held = functional.pad(samples, (half, 0)) if held is None else torch.cat([held, samples], 1)
        frames = (held.shape[1] - config.n_fft) // config.hop_length + 1
        # The last half frame waits: how the signal ends decides what it holds.
        if frames > 0:
            yield _frames(held, config, window)
            held = held[:, frames * config.hop_length :]
    if held is not None:
        held = functional.pad(held, (0, half))
        if held.shape[1] >= config.n_fft:
            yield _frames(held, config, window)


def _frames(samples: Tensor, config: SpectrogramConfig, window: Tensor) -> Tensor:
    return torch.stft(
        samples,
        config.n_fft,
        config.hop_length,
        window=window,
        center=False,
        return_complex=True,
    )
