"""Windows of all recordings, in batches: planned, computed, and saved as they finish."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from audiostyle.completion import portion, report
from components.stylize.checkpoint import Key, Results
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import Contents, Method, Style
from components.stylize.spectra import Source, style_magnitude, windows_of
from components.stylize.transfer import style_of, transfer
from components.stylize.windows import Windows

log = logging.getLogger(__name__)

# Bytes of style statistics that stay for later windows: a Gram matrix of 4,096 filters is 64 MB.
_STYLES = 512 << 20


@dataclass(frozen=True)
class Item:
    """A pair whose recordings were read once. number: in the set; sources: by role."""

    number: int
    id: str
    sources: dict[str, Source]
    windows: Windows

    @property
    def content(self) -> Source:
        """The recording to stylize."""
        return self.sources["content"]

    @property
    def keys(self) -> list[Key]:
        """Its windows."""
        return [(self.number, window) for window in range(len(self.windows.starts))]

    def plain(self) -> list[Any]:
        """What its result depends on, settings aside."""
        return [self.id, {role: source.digest for role, source in self.sources.items()}]


def batches_of(items: Sequence[Item], size: int) -> list[list[Key]]:
    """Windows to work on together, at most `size`: all of a batch have the same length.

    A recording's windows come in order. What is in a batch depends on the items alone, so that a
    call that goes on after an interruption computes the very same batches.
    """
    lengths: dict[int, list[Key]] = {}
    for item in items:
        lengths.setdefault(item.windows.frames, []).extend(item.keys)
    return [keys[at : at + size] for keys in lengths.values() for at in range(0, len(keys), size)]


def stylize_windows(
    items: Sequence[Item],
    batches: Sequence[Sequence[Key]],
    method: Method,
    config: StylizeConfig,
    results: Results,
    styles: "Styles",
) -> None:
    """Stylize the batches that `results` lacks, and save them there."""
    results.assign(batches)
    missing = {number for number in range(len(batches)) if not results.has(number)}
    if len(missing) < len(batches):
        log.info("stylize: going on, %d of %d batches left", len(missing), len(batches))
    waiting: dict[Key, Tensor] = {}
    for number in dict.fromkeys(key[0] for batch in batches for key in batch):
        item = items[number]
        if not any(results.batch(key) in missing for key in item.keys):
            continue
        magnitudes = windows_of(item.content, item.windows, method.spectrogram)
        for key, magnitude in zip(item.keys, magnitudes, strict=True):
            batch = results.batch(key)
            if batch not in missing:
                continue
            waiting[key] = magnitude
            if len(waiting) == len(batches[batch]):
                complete = len(batches) - len(missing)
                with portion(complete / len(batches), (complete + 1) / len(batches)):
                    results.save(batch, _stylize(items, waiting, method, config, styles))
                missing.remove(batch)
                report(complete + 1, len(batches))
                waiting = {}


def _stylize(
    items: Sequence[Item],
    magnitudes: dict[Key, Tensor],
    method: Method,
    config: StylizeConfig,
    styles: "Styles",
) -> dict[Key, Any]:
    chosen = [items[number] for number, _ in magnitudes]
    contents = Contents(
        torch.stack(list(magnitudes.values())), torch.stack([item.content.power for item in chosen])
    )
    done = transfer(
        method,
        contents,
        [styles.of(item.sources["style"]) for item in chosen],
        config,
        names=[item.id for item in chosen],
        first_frames=[
            item.windows.starts[window]
            for item, (_, window) in zip(chosen, magnitudes, strict=True)
        ],
    )
    return dict(zip(magnitudes, done, strict=True))


class Styles:
    """Statistics of style clips, computed once; the least used go when there are too many."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._statistics: OrderedDict[str, Style] = OrderedDict()

    def of(self, source: Source) -> Style:
        """Statistics of a style clip."""
        if source.digest not in self._statistics:
            magnitude = style_magnitude(source, self._method.spectrogram)
            self._statistics[source.digest] = style_of(self._method, magnitude)
        self._statistics.move_to_end(source.digest)
        style = self._statistics[source.digest]
        while len(self._statistics) > 1 and sum(map(_bytes, self._statistics.values())) > _STYLES:
            self._statistics.popitem(last=False)
        return style


def _bytes(style: Style) -> int:
    return sum(value.numel() * value.element_size() for value in style.values())
