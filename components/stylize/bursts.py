"""What would make a result louder than its content for a moment: bursts, and single frames.

Where a content has next to nothing, at high frequencies say, a method raises what is there to the
style's level. In a steady sound that is the burst which its hard edges or a pop make, and raised by
30 dB it is louder than all else. So such a burst stays as loud as it was. And no frame is much
louder than the content just was, whatever frames of the style a method takes for a cut edge.
"""

import torch
from torch import Tensor
from torch.nn import functional

# Frames. At four hops a window, a click is in five of them; what lasts longer is no burst.
_SHORT = 6
# Bins over which energy is averaged: partials are no bursts of the gaps beside them.
_AROUND = 15
# dB by which a cell stands out in time, beyond what its whole frame does (notes begin and end, and
# staccato is short): from the first on it counts a little, from the second altogether.
_SOME_DB, _ALL_DB = 15.0, 25.0
_FAINT = 1e-20
# Frames for which a style may sound on, half a second at the defaults, and by which it may be
# early; and dB by which it may be louder.
_BEFORE, _AFTER, _LOUDER_DB = 22, 3, 3.0


def restrained(content: Tensor, result: Tensor) -> Tensor:
    """The result, not louder than the content where that is a burst, nor for a moment.

    content, result: magnitudes [batch, bins, frames], linear, at the same level. Output: likewise.
    """
    power = content.square()
    flat = power.transpose(1, 2)  # [batch, frames, bins]
    near = functional.avg_pool1d(
        flat, _AROUND, 1, padding=_AROUND // 2, count_include_pad=False
    ).transpose(1, 2)
    apart = _standing_out(near) - _standing_out(power.sum(1, keepdim=True))
    weight = ((apart - _SOME_DB) / (_ALL_DB - _SOME_DB)).clamp(0, 1)
    lower = torch.minimum(result, content)
    result = torch.lerp(result, lower, weight)
    padded = functional.pad(power.sum(1), (_BEFORE, _AFTER))
    most = functional.max_pool1d(padded, _BEFORE + 1 + _AFTER, 1) * 10 ** (_LOUDER_DB / 10)
    energy = result.square().sum(1).clamp_min(_FAINT)  # [batch, frames]
    return result * (most / energy).clamp_max(1).sqrt()[:, None]


def _standing_out(power: Tensor) -> Tensor:
    """Level above the opening over time, in dB; power: [batch, bins, frames].

    The opening has no peak that is shorter than _SHORT frames.
    """
    size = min(_SHORT, power.shape[2])
    level = 10 * power.clamp_min(_FAINT).log10()
    lowest = -functional.max_pool1d(-level, size, 1)  # of each run of `size` frames
    padded = functional.pad(lowest, (size - 1, size - 1), value=-torch.inf)
    return level - functional.max_pool1d(padded, size, 1)
