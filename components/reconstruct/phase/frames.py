"""The short-time Fourier transform that phase retrieval iterates, and its least-squares inverse.

It computes what `librosa.stft` and `librosa.istft` compute with `center=True, pad_mode="constant"`,
but keeps a signal inside its padding and a spectrogram as [batch, frames, bins]. So each frame is
contiguous for the FFT, an iteration copies nothing into shape, and overlap-add is n_fft / hop
whole-array additions.
"""

import numpy as np
import torch
from torch import Tensor

from audiostyle.errors import InputError

_WINDOWS = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "blackman": torch.blackman_window,
}

# Below this share of its largest value, a sum of squared windows says that no frame sees the
# sample: float32 keeps 7 digits, so dividing by less would only amplify rounding.
_UNSEEN = 1e-7


def window_values(window: object, n_fft: int) -> Tensor:
    """A window by name, periodic as an FFT wants it, or the given one, checked.

    window: "hann", "hamming", "blackman", or n_fft real, finite values.
    n_fft: in samples.
    Returns float64 [n_fft].
    Raises InputError for an unknown name, another length or values that cannot weigh anything.
    """
    if isinstance(window, str):
        if window not in _WINDOWS:
            raise InputError(f"window: {window!r} is not one of {', '.join(_WINDOWS)}, or an array")
        return _WINDOWS[window](n_fft, periodic=True, dtype=torch.float64)
    if not isinstance(window, np.ndarray | Tensor):
        raise InputError(f"window: {type(window).__name__} is neither a name nor an array")
    values = torch.as_tensor(window).detach().to("cpu", torch.float64)
    if values.shape != (n_fft,):
        raise InputError(f"window: has shape {tuple(values.shape)}, n_fft asks for ({n_fft},)")
    if not bool(values.isfinite().all()) or not bool(values.any()):
        raise InputError("window: must be finite and not all zero")
    return values


class FrameTransform:
    """The transform pair for signals of one length.

    n_fft, hop_length: in samples, hop_length <= n_fft / 2.
    window: float64 [n_fft].
    length: of the signal, in samples; there are 1 + length // hop_length frames.
    device: where to compute, in float32.
    """

    def __init__(
        self, *, n_fft: int, hop_length: int, window: Tensor, length: int, device: torch.device
    ) -> None:
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.length = length
        self.frames = 1 + length // hop_length
        self.overlap = -(-n_fft // hop_length)  # hops that a frame touches
        self.window = window.to(device, torch.float32)
        # A frame cut into hops; the last piece is shorter where hop_length does not divide n_fft.
        starts = range(0, n_fft, hop_length)
        self._pieces = [self.window[start : start + hop_length] for start in starts]
        squares = torch.zeros(self.frames + self.overlap - 1, hop_length, dtype=torch.float64)
        for k, start in enumerate(starts):
            piece = window[start : start + hop_length]
            squares[k : k + self.frames, : len(piece)] += piece.square()
        inside = torch.zeros(squares.numel(), dtype=torch.bool)
        inside[n_fft // 2 : n_fft // 2 + length] = True
        seen = (squares > _UNSEEN * squares.max()) & inside.view_as(squares)
        # Divided by the summed squares, overlap-add is the least-squares inverse [Griffin & Lim
        # 1984]; 0 outside the signal puts back the zero padding that every analysis starts from.
        self._weight = torch.where(seen, 1 / squares, 0.0).to(device, torch.float32)

    def analyze(self, padded: Tensor) -> Tensor:
        """float32 [batch, padded samples] -> complex64 [batch, frames, bins], all that fit."""
        frames = padded.unfold(-1, self.n_fft, self.hop_length) * self.window
        spectra: Tensor = torch.fft.rfft(frames)
        return spectra

    def synthesize(self, coefficients: Tensor) -> Tensor:
        """The padded signal whose transform is nearest: the least-squares inverse of `analyze`."""
        frames: Tensor = torch.fft.irfft(coefficients, n=self.n_fft)  # [batch, frames, n_fft]
        rows = frames.new_zeros(len(frames), *self._weight.shape)
        for k, piece in enumerate(self._pieces):
            start = k * self.hop_length
            rows[:, k : k + self.frames, : len(piece)].addcmul_(
                frames[..., start : start + len(piece)], piece
            )
        return rows.mul_(self._weight).view(len(rows), -1)

    def pad(self, samples: Tensor) -> Tensor:
        """float32 [batch, length] -> [batch, padded samples]."""
        before = self.n_fft // 2
        after = self._weight.numel() - before - self.length
        padded: Tensor = torch.nn.functional.pad(samples, (before, after))
        return padded

    def trim(self, padded: Tensor) -> Tensor:
        """The inverse of `pad`: a view [batch, length]."""
        return padded[:, self.n_fft // 2 : self.n_fft // 2 + self.length]
