"""What successive calls of the stage share: classifier, method, recordings heard, style statistics.

A bulk job works through many small sets in one process. What it computes is the same with a
session and without; only how often is not.
"""

from collections import OrderedDict
from pathlib import Path

import torch

from audiostyle import artifacts, network
from audiostyle.artifacts import digest_of
from audiostyle.audio import Recording
from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.batches import Styles
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import Method
from components.stylize.registry import make
from components.stylize.spectra import Source, examine

# Bytes of transforms that stay in memory: 250 clips of 3 s, mono.
_HEARD = 256 << 20
# A recording whose transform has more frames, 24 s at the defaults, is decoded again instead.
_KEPT_FRAMES = 1024

_State = tuple[str, int, int, int]  # a file as it is: changed, it is another one


class Session:
    """A classifier that was opened and checked, and what was computed with it."""

    def __init__(self, classifier: Path | str) -> None:
        """classifier: a classifier artifact. Raises ArtifactError."""
        self.classifier = str(classifier)
        self.opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
        self._methods: OrderedDict[str, tuple[Method, Styles]] = OrderedDict()
        self._heard: OrderedDict[_State, Source] = OrderedDict()

    def method(self, config: StylizeConfig) -> tuple[Method, Styles]:
        """The method with these settings, and its styles; the last two are remembered."""
        key = digest_of(config.plain())
        if key not in self._methods:
            device = network.device_of(config.device)
            if device.type == "cuda":
                # TF32: its 10 bits of mantissa are finer than anything heard in a magnitude.
                # bfloat16's 7 are not, where squares of logarithms are summed over thousands of
                # cells.
                torch.set_float32_matmul_precision("high")
            while len(self._methods) > 1:
                self._methods.popitem(last=False)
            method = make(config, network.load(self.opened.folder, device))
            self._methods[key] = method, Styles(method)
        self._methods.move_to_end(key)
        return self._methods[key]

    def hear_samples(self, name: str, recording: Recording, config: SpectrogramConfig) -> Source:
        """`examine` of samples in memory; `name` is what errors call them. Raises AudioError."""
        return examine(Path(name), config, _KEPT_FRAMES, recording)

    def hear(self, path: Path, config: SpectrogramConfig) -> Source:
        """`examine`, once a file as long as there is room to remember it. Raises AudioError."""
        try:
            status = path.stat()
        except OSError:
            return examine(path, config)  # which says what is wrong
        state = (str(path), status.st_size, status.st_mtime_ns, status.st_ino)
        if state not in self._heard:
            self._heard[state] = examine(path, config, keep=_KEPT_FRAMES)
        self._heard.move_to_end(state)
        source = self._heard[state]
        size = sum(map(_bytes, self._heard.values()))
        while size > _HEARD and len(self._heard) > 1:
            size -= _bytes(self._heard.popitem(last=False)[1])
        return source


def _bytes(source: Source) -> int:
    parts = (part.numel() * part.element_size() for part in source.transform)
    return 4 * source.power.numel() + sum(parts)
