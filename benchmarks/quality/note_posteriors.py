"""Which notes sound, by BasicPitch's own network (Bittner et al. 2022), as posteriors.

In the one published listening test of timbre transfer whose sounds can be had (WaveTransfer's),
the distance of these posteriors follows listeners at -0.94; a log-mel gain at +0.37. The network
is the ONNX file in the package basic-pitch, which needs nothing else of that package:

    pip install --no-deps basic-pitch; pip install onnxruntime
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiostyle.audio import Samples

# Its input: windows of two seconds at 22,050 Hz, less one hop; its output has 172 frames of 256
# samples a window, of which 15 at either end see too little.
_WINDOW, _HOP, _EDGE = 43_844, 256, 15
_STEP = _WINDOW - 2 * _EDGE * _HOP


def available() -> bool:
    """Whether the network and what runs it are installed."""
    return _file() is not None and find_spec("onnxruntime") is not None


def posteriors(samples: Samples) -> NDArray[np.float32]:
    """Probability that each of 88 piano keys sounds, [frames, 88], 86 frames a second."""
    session, name, output = _session()
    frames = 1 + len(samples) // _HOP
    padded = np.pad(samples, (_EDGE * _HOP, _WINDOW))
    parts = []
    for start in range(0, len(samples), _STEP):
        window = padded[start : start + _WINDOW].astype(np.float32)
        (notes,) = session.run([output], {name: window[None, :, None]})
        parts.append(notes[0, _EDGE:-_EDGE])
    notes = np.concatenate(parts)
    result: NDArray[np.float32] = notes[:frames]
    return result


def distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mean over frames of the sum over keys by which posteriors differ: notes too many or few."""
    frames = min(len(a), len(b))
    return float(np.abs(a[:frames] - b[:frames]).sum(1).mean())


def _file() -> Path | None:
    spec = find_spec("basic_pitch")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "saved_models" / "icassp_2022" / "nmp.onnx"
        if path.is_file():
            return path
    return None


@cache
def _session() -> tuple[Any, str, str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(_file()), options, ["CPUExecutionProvider"])
    outputs = {value.name: value.shape for value in session.get_outputs()}
    (output,) = [name for name in outputs if name.endswith(":1")]  # note; :2 onset, :0 contour
    return session, session.get_inputs()[0].name, output
