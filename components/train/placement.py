"""Where the clips lie while a network is trained: on the GPU when they fit, else beside it."""

import torch
from torch import Tensor


def place(clips: Tensor, device: torch.device) -> Tensor:
    """The clips, on the device where they leave half of its free memory to the training.

    On a CPU they stay what they are.
    """
    if device.type == "cuda" and clips.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return clips
    return clips.to(device)


def batch_of(clips: Tensor, index: Tensor, device: torch.device) -> Tensor:
    """A batch of placed clips, on the device. index: [batch] int64, on the host."""
    batch = clips[index.to(clips.device)]
    if device.type == "cuda" and batch.device.type == "cpu":
        # From pinned memory the copy runs beside what the GPU still computes.
        return batch.pin_memory().to(device, non_blocking=True)
    return batch.to(device)
