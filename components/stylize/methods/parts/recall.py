"""What the style's bands do at moments like each of the content's: attention with trained keys.

A small network turns each frame of content and style, with what stands around it, into keys; eight
groups of bands answer each by itself. What is recalled is a mean of the style's own levels, so
that nothing is said that the style does not show. It was trained on pairs with a true target to
recall the target's levels (`benchmarks/quality/fitting_recall.py`).
"""

from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from audiostyle import tensors
from audiostyle.files import replacing
from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.methods.parts.bands import BANDS, envelope
from components.stylize.methods.parts.pitch import Pitch, voice_of

WEIGHTS = Path(__file__).with_name("recall.safetensors")
GROUPS, KEYS = 8, 24
_RANGE = 6.9  # nepers, 60 dB: what is lower is silence
_LEAST_DEVIATION = 0.15
_WIDTH, _CONTEXT = 128, 5  # channels, frames


class Network(nn.Module):
    """From what is seen of frames to their keys."""

    def __init__(self) -> None:
        super().__init__()
        edge = _CONTEXT // 2
        self.layers = nn.Sequential(
            nn.Conv1d(2 * BANDS + 6, _WIDTH, _CONTEXT, padding=edge),
            nn.ReLU(),
            nn.Conv1d(_WIDTH, _WIDTH, _CONTEXT, padding=edge),
            nn.ReLU(),
            nn.Conv1d(_WIDTH, GROUPS * KEYS, 1),
        )
        self.sharpness = nn.Parameter(torch.tensor(1.0))

    def forward(self, seen: Tensor) -> Tensor:
        """[seen, frames] to [frames, GROUPS * KEYS]."""
        keys: Tensor = self.layers(seen[None])[0].T
        return keys * self.sharpness.abs().sqrt()


def levels_of(bands: Tensor) -> Tensor:
    """Levels that are recalled, [frames, BANDS], of a recording's `bands.envelope`."""
    return torch.maximum(bands, bands.amax() - _RANGE).T.contiguous()


def seen_of(
    magnitude: Tensor,
    times: Tensor,
    pitch: Pitch,
    item: int,
    config: SpectrogramConfig,
    *,
    style: bool,
) -> tuple[Tensor, Tensor]:
    """What the network sees of a recording, [2 BANDS + 6, frames], and its levels.

    magnitude: [bins, frames]. times: since the onset, as logarithms, [frames]. Levels: see
    `levels_of`.
    """
    levels = levels_of(envelope(magnitude, config))
    bands = levels.T
    voice = voice_of(pitch, item)
    deviation = bands.std(1, keepdim=True, correction=0) + _LEAST_DEVIATION
    more = torch.stack(
        [
            times,
            voice,
            2 * pitch.clarity[item],
            (pitch.midi[item] - 60) / 12 * voice,
            bands.mean(0) - bands.mean(),
            torch.full_like(bands[0], float(style)),
        ]
    )
    relative = (bands - bands.amax()) / 3 + 1
    seen = torch.cat([(bands - bands.mean(1, keepdim=True)) / deviation, relative, more])
    return seen, levels


def recalled(queries: Tensor, keys: Tensor, levels: Tensor) -> Tensor:
    """Levels at moments like the content's, [BANDS, frames].

    queries: the content's keys [frames, GROUPS * KEYS]; keys, levels: the style's.
    """
    asked, known = (x.reshape(len(x), GROUPS, KEYS).movedim(1, 0) for x in (queries, keys))
    share = (asked @ known.mT / KEYS**0.5).softmax(2)  # [groups, frames, the style's frames]
    values = levels.reshape(len(levels), GROUPS, BANDS // GROUPS).movedim(1, 0)
    levels_there: Tensor = (share @ values).movedim(1, 2).reshape(BANDS, len(queries))
    return levels_there


@lru_cache(maxsize=2)
def trained(device: torch.device) -> Network:
    """The one that was trained, for inference."""
    network = Network()
    network.load_state_dict(tensors.read(WEIGHTS))
    return network.eval().requires_grad_(False).to(device)


def save(network: Network, path: Path) -> None:
    """Write a network as `trained` reads it."""
    named = {name: value.contiguous() for name, value in network.state_dict().items()}
    with replacing(path) as temporary:
        tensors.write(temporary, named)
