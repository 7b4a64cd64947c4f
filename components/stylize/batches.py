"""Windows of all recordings, in batches: planned, computed, and kept as they finish."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from components.stylize.checkpoint import Kept, Key
from components.stylize.config import StylizeConfig
from components.stylize.methods.method import Contents, Method, Style
from components.stylize.spectra import Source, style_magnitude, windows_of
from components.stylize.transfer import style_of, transfer
from components.stylize.windows import Windows

log = logging.getLogger(__name__)

# Bytes of style statistics that stay for later windows: a Gram matrix of 4,096 filters is 64 MB.
_STYLES = 512 << 20


@dataclass(frozen=True)
class Job:
    """A pair whose recordings were heard. number: in the set; sources: by role."""

    number: int
    id: str
    sources: dict[str, Source]
    windows: Windows

    @property
    def content(self) -> Source:
        """The recording to stylise."""
        return self.sources["content"]

    @property
    def keys(self) -> list[Key]:
        """Its windows."""
        return [(self.number, window) for window in range(len(self.windows.starts))]

    def plain(self) -> list[Any]:
        """What its result depends on, settings aside."""
        return [self.id, {role: source.digest for role, source in self.sources.items()}]


def batches_of(jobs: Sequence[Job], size: int) -> list[list[Key]]:
    """Windows to work on together, at most `size`: all of a batch have the same length.

    A recording's windows come in order. Who is in a batch depends on the jobs alone, so that a
    call that goes on after an interruption computes the very same batches.
    """
    lengths: dict[int, list[Key]] = {}
    for job in jobs:
        lengths.setdefault(job.windows.frames, []).extend(job.keys)
    return [keys[at : at + size] for keys in lengths.values() for at in range(0, len(keys), size)]


def stylise_windows(
    jobs: Sequence[Job],
    batches: Sequence[Sequence[Key]],
    method: Method,
    config: StylizeConfig,
    kept: Kept,
    styles: "Styles",
) -> None:
    """Stylise what is not kept yet, and keep it."""
    kept.place(batches)
    missing = {number for number in range(len(batches)) if not kept.has(number)}
    if len(missing) < len(batches):
        log.info("stylize: going on, %d of %d batches left", len(missing), len(batches))
    waiting: dict[Key, Tensor] = {}
    for number in dict.fromkeys(key[0] for batch in batches for key in batch):
        job = jobs[number]
        if not any(kept.batch(key) in missing for key in job.keys):
            continue
        magnitudes = windows_of(job.content, job.windows, method.spectrogram)
        for key, magnitude in zip(job.keys, magnitudes, strict=True):
            batch = kept.batch(key)
            if batch not in missing:
                continue
            waiting[key] = magnitude
            if len(waiting) == len(batches[batch]):
                kept.save(batch, _stylise(jobs, waiting, method, config, styles))
                waiting = {}


def _stylise(
    jobs: Sequence[Job],
    magnitudes: dict[Key, Tensor],
    method: Method,
    config: StylizeConfig,
    styles: "Styles",
) -> dict[Key, Any]:
    items = [jobs[number] for number, _ in magnitudes]
    contents = Contents(
        torch.stack(list(magnitudes.values())), torch.stack([job.content.power for job in items])
    )
    done = transfer(
        method,
        contents,
        [styles.of(job.sources["style"]) for job in items],
        config,
        names=[job.id for job in items],
        first_frames=[
            job.windows.starts[window] for job, (_, window) in zip(items, magnitudes, strict=True)
        ],
    )
    return dict(zip(magnitudes, done, strict=True))


class Styles:
    """Statistics of style clips, computed once; the least used go when there are too many."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._known: OrderedDict[str, Style] = OrderedDict()

    def of(self, source: Source) -> Style:
        """Statistics of a style clip."""
        if source.digest not in self._known:
            magnitude = style_magnitude(source, self._method.spectrogram)
            self._known[source.digest] = style_of(self._method, magnitude)
        self._known.move_to_end(source.digest)
        found = self._known[source.digest]
        while len(self._known) > 1 and sum(map(_bytes, self._known.values())) > _STYLES:
            self._known.popitem(last=False)
        return found


def _bytes(style: Style) -> int:
    return sum(value.numel() * value.element_size() for value in style.values())
