"""Log-frequency spectrograms as plain colored images; axes and labels are the page's business.

A matplotlib figure costs about 200 ms, and a report may show thousands: here an array is put
through a color map and encoded, and the page draws the ticks as SVG, crisp at any size.
"""

import io
import itertools
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from audiostyle.audio import Source, mono
from audiostyle.charts import Tick

Levels = npt.NDArray[np.float32]

# Below it little is heard on the loudspeakers of a laptop or a phone, and a row of the picture
# would be narrower than the analysis can tell apart.
LOWEST_HZ = 40.0
# The quietest level shown, below the loudest point of an item: what is further down is masked.
RANGE_DB = 80.0
# Long enough to part the harmonics of a low voice (Hann main lobe: 4 / 0.064 s = 62 Hz), short
# enough to show an attack. In seconds, so that clips of different rates look alike.
WINDOW_SECONDS = 0.064
ROWS = 240
COLUMNS = 1000
# Frames analyzed, and samples of all channels read, at once: bounds the memory of a long clip.
_BATCH, _SAMPLES = 256, 1 << 22
COLORS = "magma"


def levels(source: Source, highest_hz: float) -> Levels:
    """Level over time and log frequency of the mean of the channels.

    highest_hz: frequency of the top row; the bottom row is at `lowest(highest_hz)`. Rows above
    the recording's own Nyquist frequency are empty.
    Output: [ROWS, columns] float32, top row first, in dB relative to a sine of full scale (-inf
    where there is nothing); columns <= COLUMNS, evenly over the duration, mean power of what
    falls into each.
    """
    samples, rate = source.frames, source.sample_rate
    half = _quick(max(8, round(rate * WINDOW_SECONDS / 2)))
    length = 2 * half
    # An eighth of the window suits short clips; longer ones need no more than two frames a column.
    hop = int(np.clip(samples // (2 * COLUMNS), length // 8, half))
    count = samples // hop + 1
    columns = min(COLUMNS, count)
    column_of = np.arange(count) * columns // count

    window = np.hanning(length + 1)[:-1].astype(np.float32)
    bins, weights, starts = _rows(rate, length, highest_hz)
    power = np.zeros((columns, ROWS), np.float32)
    start = 0
    for frames in _frames(source, length, hop):
        spectrum = np.fft.rfft(frames * window)
        energy = np.square(np.abs(spectrum), dtype=np.float32)  # [batch, bins]
        # Rows as sums over runs of weighted bins. As a matrix product (nearly all zeros) BLAS
        # threads fought with those that draw other items: 47 ms a short clip, on two busy cores,
        # instead of 1 ms.
        rows = np.add.reduceat(energy[:, bins] * weights, starts, axis=1)  # [batch, known rows]
        np.add.at(power[:, : len(starts)], column_of[start : start + len(frames)], rows)
        start += len(frames)
    power /= np.bincount(column_of)[:, None]
    # A sine of amplitude 1 peaks at sum(window) / 2.
    with np.errstate(divide="ignore"):
        decibels = 10 * np.log10(power) - 20 * np.log10(window.sum() / 2)
    return np.asarray(decibels.T[::-1], np.float32)


def _frames(source: Source, length: int, hop: int) -> Iterator[Levels]:
    """Frames of the mono mix, one every hop, the first about its beginning: [some, length]."""
    channels = len(source.part(0, 1).samples)
    size = max(length, min(_BATCH * hop, _SAMPLES // channels))
    samples = np.zeros(length // 2, np.float32)
    for start in range(0, source.frames, size):
        part = mono(source.part(start, min(start + size, source.frames)))
        end = np.zeros(length // 2 if start + size >= source.frames else 0, np.float32)
        samples = np.concatenate([samples, part, end])
        if len(samples) >= length:
            frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
            for first in range(0, len(frames), _BATCH):
                yield frames[first : first + _BATCH]
            samples = samples[len(frames) * hop :]


def loudest(pictures: Sequence[Levels]) -> float:
    """Level of the loudest point of several pictures, in dB; 0 where all of them are silent."""
    top = max(float(picture.max()) for picture in pictures)
    return top if np.isfinite(top) else 0.0


def encode(picture: Levels, loudest_db: float) -> bytes:
    """Color `loudest_db - RANGE_DB` (dark) to `loudest_db` (bright) and encode as WebP.

    Lossy WebP: 25 kB where a PNG of the same picture takes 110 kB, and nobody reads
    levels off single pixels.
    """
    share = (picture - (loudest_db - RANGE_DB)) / RANGE_DB  # -inf stays -inf and is clipped
    index = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(_palette()[index]).save(stream, "WEBP", quality=80, method=2)
    return stream.getvalue()


def thumbnail(encoded: bytes) -> bytes:
    """A picture in half the rows and about 6 kB, for a page that holds its pictures inline."""
    with Image.open(io.BytesIO(encoded)) as image:
        small = image.resize((min(image.width, 400), ROWS // 2), Image.Resampling.BOX)
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=60, method=4)
    return stream.getvalue()


def legend_stops() -> list[tuple[float, str]]:
    """The color scale as (position in [0, 1], "#rrggbb") pairs, from quiet to loud."""
    return [
        (position, "#" + "".join(f"{part:02x}" for part in _palette()[round(position * 255)]))
        for position in (0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1)
    ]


def lowest(highest_hz: float) -> float:
    """Frequency of the bottom row in Hz: 40, or less where a very low rate leaves no room above."""
    return min(LOWEST_HZ, highest_hz / 10)


def frequency_ticks(highest_hz: float) -> list[Tick]:
    """Half decades (100, 300, 1k, ...) between bottom and top of a picture, in per cent of it."""
    bottom = lowest(highest_hz)
    ticks = []
    for decade in range(6):
        for hertz in (10**decade, 3 * 10**decade):
            # A label closer than 4 % to an edge would be cut off.
            at = 100 * (1 - np.log(hertz / bottom) / np.log(highest_hz / bottom))
            if 4 <= at <= 96:
                label = f"{hertz // 1000}k" if hertz >= 1000 else str(hertz)
                ticks.append(Tick(round(float(at), 2), label))
    return ticks


def time_ticks(seconds: float) -> list[Tick]:
    """Up to five marks from 0 to the end of a clip, in seconds, or minutes and seconds."""
    steps = [m * 10.0**e for e in range(-4, 6) for m in (1, 2, 5)]
    if seconds > 60:
        steps = [15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 86400]
    step = next((s for s in steps if seconds / s <= 5), seconds)
    count = int(seconds / step * 0.96)  # none in the last 4 %, where it would be cut off
    return [
        Tick(round(100 * i * step / seconds, 2), _clock(i * step, seconds))
        for i in range(count + 1)
    ]


def _clock(at: float, duration: float) -> str:
    if duration > 60:
        return f"{int(at) // 60}:{int(at) % 60:02d}"
    return f"{at:.4g}"


@cache
def _rows(
    sample_rate: int, length: int, highest_hz: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """From FFT bins to rows at evenly spaced log frequencies, bottom first.

    Output: bin numbers, their weights, and where the run of each row starts in these two; rows
    above the Nyquist frequency are left out.
    Each row is a triangle around its frequency, at least one bin to either side: that is linear
    interpolation where rows lie closer than bins, and the power within a band where they lie
    wider, so that a tone keeps its level at any frequency (and pink noise looks flat).
    """
    centers = np.geomspace(lowest(highest_hz), highest_hz, ROWS) * length / sample_rate  # in bins
    reach = np.maximum(1, np.gradient(centers))
    bins = np.arange(length // 2 + 1)
    # [rows, bins]; every row has an entry, as its frequency lies between two bins or on one.
    known = centers <= length / 2 * (1 + 1e-9)
    dense = np.maximum(0, 1 - np.abs(bins - centers[known, None]) / reach[known, None])
    row_of, bin_of = np.nonzero(dense)
    starts = np.searchsorted(row_of, np.arange(len(dense)))
    return bin_of, dense[row_of, bin_of].astype(np.float32), starts


def _quick(length: int) -> int:
    """The first number from `length` on without prime factors above 5, for which FFTs are fast."""
    for candidate in itertools.count(length):
        rest = candidate
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return candidate
    raise AssertionError("unreachable: there is always a larger power of two")


@cache
def _palette() -> npt.NDArray[np.uint8]:
    """[256, 3] red, green, blue."""
    import matplotlib  # half a second, for a page only

    colors = matplotlib.colormaps[COLORS](np.arange(256))[:, :3]
    return np.asarray(np.rint(colors * 255), np.uint8)
