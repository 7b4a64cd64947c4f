"""What the recordings promise, checked on the files as written."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Protocol

import click
import numpy as np
import soundfile
from catalogue import Font
from numpy.typing import NDArray
from rendering import CLIP_SAMPLES, SAMPLE_RATE, Take
from samples import shared_runs
from zones import Sample, touched

LARGEST_BYTES = 8_000_000
PEAK_LIMIT = 10 ** (-1 / 20)
ONSET_SECONDS = 0.15
ONSET_DB = -45.0  # dBFS RMS; the clips themselves lie near -20
QUIETEST_DB = -32.0  # a dry xylophone, whose peaks limit it


class Clip(Protocol):
    """What is known of a file: see ``make_instruments.Clip``."""

    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def split(self) -> str: ...  # noqa: D102
    @property
    def recordings(self) -> str: ...  # noqa: D102
    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def font(self) -> Font: ...  # noqa: D102
    @property
    def take(self) -> Take: ...  # noqa: D102


def check(out: Path, clips: Sequence[Clip]) -> None:
    """Raise ValueError that names the file and the value of the first broken promise."""
    _check_files(out, clips)
    _check_phrases(clips)
    _check_recordings(clips)
    total = sum(path.stat().st_size for path in (out, *out.rglob("*")))  # as du -sb counts
    if total > LARGEST_BYTES:
        raise ValueError(f"{out} holds {total} bytes: at most {LARGEST_BYTES} are allowed")
    click.echo(f"checked {len(clips)} clips, {total} bytes")


def decibels(x: NDArray[np.float64]) -> float:
    """RMS level in dB re full scale."""
    return float(10 * np.log10(np.mean(np.square(x)) + 1e-20))


def _check_files(out: Path, clips: Sequence[Clip]) -> None:
    digests: dict[bytes, Path] = {}
    for clip in clips:
        path = out / clip.path
        x, rate = soundfile.read(path)
        if rate != SAMPLE_RATE or x.shape != (CLIP_SAMPLES,):
            raise ValueError(
                f"{path} has shape {x.shape} at {rate} Hz, not ({CLIP_SAMPLES},) at {SAMPLE_RATE}"
            )
        peak = float(np.abs(x).max())
        if peak > PEAK_LIMIT:
            raise ValueError(f"{path} peaks at {peak:.3f} of full scale, above -1 dBFS")
        if decibels(x) < QUIETEST_DB:
            raise ValueError(f"{path} has {decibels(x):.1f} dBFS RMS: below {QUIETEST_DB}")
        onset = decibels(x[: round(ONSET_SECONDS * SAMPLE_RATE)])
        if onset < ONSET_DB:
            raise ValueError(f"{path} starts with {onset:.1f} dBFS in its first 150 ms: too quiet")
        other = digests.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
        if other is not path:
            raise ValueError(f"{path} and {other} are the same file")


def _check_phrases(clips: Sequence[Clip]) -> None:
    """No phrase name in two splits, and no two names with the same melody."""
    split_of: dict[str, str] = {}
    name_of: dict[tuple[object, ...], str] = {}
    for clip in clips:
        if split_of.setdefault(clip.group, clip.split) != clip.split:
            raise ValueError(f"phrase {clip.group} is in {split_of[clip.group]} and {clip.split}")
        if clip.split != "pairs" and len({note.start for note in clip.take.notes}) < len(
            clip.take.notes
        ):
            continue  # has chords; the instruments that play one voice have the melody alone
        first = clip.take.notes[0].pitch
        melody = tuple((note.start, note.pitch - first) for note in clip.take.notes)
        if name_of.setdefault(melody, clip.group) != clip.group:
            raise ValueError(f"phrases {name_of[melody]} and {clip.group} have the same melody")


def _check_recordings(clips: Sequence[Clip]) -> None:
    """No two splits touch the same sample, nor samples that share a run (test includes pairs)."""
    touching: dict[str, dict[Sample, str]] = {}
    for clip in clips:
        samples = touching.setdefault(clip.recordings, {})
        for note in clip.take.notes:
            velocities = (note.velocity, note.velocity)
            keys = touched(clip.font, clip.take.preset, note.pitch, velocities)
            if not keys:
                raise ValueError(f"{clip.path} has a note on key {note.pitch}, which is silent")
            samples.update(dict.fromkeys(keys, clip.path))
    for a, b in combinations(sorted(touching), 2):
        for sample in touching[a].keys() & touching[b].keys():
            raise ValueError(
                f"{touching[a][sample]} and {touching[b][sample]} play the same recording"
            )
        runs = shared_runs(_data(touching[a]), _data(touching[b]))
        click.echo(
            f"{a} and {b} play {len(touching[a])} and {len(touching[b])} recordings, none in "
            f"common, {runs} runs of samples in common"
        )
        if runs:
            raise ValueError(f"the recordings of {a} and {b} share {runs} runs of samples")


def _data(samples: Iterable[Sample]) -> NDArray[np.int16]:
    return np.concatenate([sample.data for sample in samples])
