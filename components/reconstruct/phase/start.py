"""Where the phases of a spectrogram start, block by block in order, so that a long one can be."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from components.reconstruct.phase.clip_threads import ForEachClip
from components.reconstruct.phase.gradient import integrate, time_frequency_ratio

Start = Literal["random", "pghi", "phase"]


class Starts:
    """The starting phases of a batch of clips, and which of them each clip has taken.

    names: the starts to offer; where there are two, each clip takes one of them later.
    clips, bins: of each block. window: float64 [n_fft]. hop_length, n_fft: in samples.
    """

    def __init__(
        self,
        names: tuple[Start, ...],
        *,
        clips: int,
        bins: int,
        seed: int,
        window: Tensor,
        hop_length: int,
        n_fft: int,
    ) -> None:
        self.names = names
        # Per clip the index of its start; -1 until a block with sound decides.
        self.choice = torch.full((clips,), 0 if len(names) == 1 else -1)
        self._bins = bins
        self._noise = np.random.default_rng(seed)
        self._hop_length, self._n_fft = hop_length, n_fft
        self._gamma = time_frequency_ratio(window) if "pghi" in names else 0.0
        # Per clip the last frame of the block before: magnitudes and phases, [1, bins] each.
        self._last: list[tuple[Tensor, Tensor] | None] = [None] * clips

    def next(
        self, magnitude: Tensor, phase: Tensor | None, for_each_clip: ForEachClip
    ) -> list[Tensor]:
        """Phases in radians of the next block, float32 [clips, frames, bins], one for each name.

        phase: what the start named "phase" begins from.
        """
        # One field of noise for all clips, so that a clip's result does not depend on its batch.
        # It is drawn in order of frames, so that it does not depend on where blocks are cut.
        uniform = self._noise.random((magnitude.shape[1], self._bins), dtype=np.float32)
        noise = torch.from_numpy(uniform).mul_(2 * math.pi)
        phases: dict[Start, Tensor] = {}
        if "random" in self.names:
            phases["random"] = noise.to(magnitude.device).expand_as(magnitude)
        if "pghi" in self.names:
            host = magnitude.cpu()  # the queue of cells is sequential: no work for a GPU

            def integrated(clip: int) -> Tensor:
                taken = int(self.choice[clip])
                if taken >= 0 and self.names[taken] != "pghi":
                    return noise  # will not be looked at
                return self._go_on(clip, host[clip], noise)

            clips = for_each_clip(integrated, len(host))
            phases["pghi"] = torch.stack(clips).to(magnitude.device) if clips else magnitude
        if phase is not None:
            phases["phase"] = phase
        return [phases[name] for name in self.names]

    def _go_on(self, clip: int, magnitude: Tensor, noise: Tensor) -> Tensor:
        last = self._last[clip]
        known = 0
        if last is not None:
            known = 1
            magnitude, noise = torch.cat([last[0], magnitude]), torch.cat([last[1], noise])
        phase = integrate(
            magnitude,
            noise,
            gamma=self._gamma,
            hop_length=self._hop_length,
            n_fft=self._n_fft,
            known=known,
        )
        # Modulo a turn: hours of them would eat float32's digits.
        self._last[clip] = magnitude[-1:].clone(), phase[-1:] % (2 * math.pi)
        return phase[known:]
