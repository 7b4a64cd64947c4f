"""The step of Griffin-Lim that is no transform: wanted magnitudes, in the directions reached.

With momentum a, fast Griffin-Lim looks ahead along the last change of the transform, from t' to t:
c = t + a (t - t') = (1 + a) (t - b t') with b = a / (1 + a) [Perraudin, Balazs, Søndergaard, "A
fast Griffin-Lim algorithm", WASPAA 2013]. Only the direction of c outlives the projection, so the
factor 1 + a is left out.

Written as whole-array operations this is seven passes over memory, half the cost of the two FFTs
beside it (0.5 ms to their 1.0 ms for 3 s of sound on one core). Fused into one pass it is a tenth,
hence the compiled loop on CPU.
"""

import math

import numba
import numpy as np
import torch
from torch import Tensor

# Added to a squared modulus, so that a zero coefficient stays zero instead of 0/0. The caller
# scales magnitudes to a peak of 1; rounding in float32 is then near 1e-7, its square 1e-14.
_TINY = 1e-30


def project(current: Tensor, previous: Tensor, magnitude: Tensor, momentum: float) -> None:
    """Overwrite `previous` with the projection of the accelerated coefficients.

    current, previous: complex64 [batch, frames, bins], contiguous: t and t' above. Zeros for t'
        mean that there is nothing to accelerate yet.
    magnitude: float32 of the same shape, contiguous.
    momentum: a, from 0 (the plain algorithm of 1984).
    """
    share = momentum / (1 + momentum)
    t, out = torch.view_as_real(current), torch.view_as_real(previous)  # [batch, frames, bins, 2]
    if magnitude.device.type == "cpu":
        # view, not reshape: it raises rather than hand over a copy
        _fused(
            t.view(-1).numpy(),
            out.view(-1).numpy(),
            magnitude.view(-1).numpy(),
            np.float32(share),
            np.float32(_TINY),
        )
        return
    torch.add(t, out, alpha=-share, out=out)
    scale = out.square().sum(-1).add_(_TINY).rsqrt_().mul_(magnitude)
    previous.mul_(scale)


# fastmath lets LLVM vectorize: nothing here is NaN or infinite. nogil, as clips run in threads.
@numba.njit(nogil=True, fastmath=True, error_model="numpy")
def _fused(
    t: np.ndarray,
    out: np.ndarray,
    wanted: np.ndarray,
    share: np.float32,
    tiny: np.float32,
) -> None:
    for i in range(wanted.size):
        real = t[2 * i] - share * out[2 * i]
        imaginary = t[2 * i + 1] - share * out[2 * i + 1]
        scale = wanted[i] / math.sqrt(real * real + imaginary * imaginary + tiny)
        out[2 * i] = real * scale
        out[2 * i + 1] = imaginary * scale
