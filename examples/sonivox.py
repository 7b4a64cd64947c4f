"""MIDI to samples with the Sonivox Embedded Audio Synthesis library, which holds its own sounds.

It is the synthesizer of early Android, as Debian builds it (3.6.11): a shared library of C
functions, whose integers are C longs.
"""

import ctypes
from ctypes import POINTER, byref, c_int, c_long, c_void_p
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

READ = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int)
SIZE = ctypes.CFUNCTYPE(c_int, c_void_p)
REVERB_MODULE, REVERB_BYPASS, REVERB_PRESET, REVERB_HALL = 2, 0, 1, 1


class _Config(ctypes.Structure):
    """The start of S_EAS_LIB_CONFIG; the rest is not looked at."""

    _fields_ = [
        (name, c_long) for name in ("version", "checked", "voices", "channels", "rate", "frames")
    ]


class _File(ctypes.Structure):
    """EAS_FILE: where the library reads a MIDI file from."""

    _fields_ = [("handle", c_void_p), ("read_at", READ), ("size", SIZE)]


def render(path: Path, midi: bytes, seconds: float, reverb: bool) -> tuple[NDArray[np.int16], int]:
    """Play a MIDI file with the library at ``path``.

    Output: [n, channels] and the sampling rate in Hz. Raises ValueError naming the step that the
    library refuses.
    """
    library = _library(path)
    settings = library.EAS_Config().contents
    data, stream, produced = c_void_p(), c_void_p(), c_long()

    def done(step: str, result: int) -> None:
        if result:
            raise ValueError(f"{path}: EAS_{step} returned {result}")

    def read_at(_: object, buffer: int, offset: int, size: int) -> int:
        part = midi[offset : offset + size]
        ctypes.memmove(buffer, part, len(part))
        return len(part)

    done("Init", library.EAS_Init(byref(data)))
    file = _File(1, READ(read_at), SIZE(lambda _: len(midi)))  # any handle but null
    done("OpenFile", library.EAS_OpenFile(data, byref(file), byref(stream)))
    done("Prepare", library.EAS_Prepare(data, stream))
    for parameter, value in ((REVERB_PRESET, REVERB_HALL), (REVERB_BYPASS, int(not reverb))):
        done("SetParameter", library.EAS_SetParameter(data, REVERB_MODULE, parameter, value))
    block = (ctypes.c_int16 * (settings.frames * settings.channels))()
    blocks = []
    for _ in range(-(-round(seconds * settings.rate) // settings.frames)):
        done("Render", library.EAS_Render(data, block, settings.frames, byref(produced)))
        blocks.append(np.array(block, dtype=np.int16).reshape(-1, settings.channels))
    done("CloseFile", library.EAS_CloseFile(data, stream))
    done("Shutdown", library.EAS_Shutdown(data))
    return np.concatenate(blocks), int(settings.rate)


@cache
def _library(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.EAS_Config.restype = POINTER(_Config)
    arguments = {
        "Init": [POINTER(c_void_p)],
        "OpenFile": [c_void_p, POINTER(_File), POINTER(c_void_p)],
        "Prepare": [c_void_p, c_void_p],
        "SetParameter": [c_void_p, c_long, c_long, c_long],
        "Render": [c_void_p, c_void_p, c_long, POINTER(c_long)],
        "CloseFile": [c_void_p, c_void_p],
        "Shutdown": [c_void_p],
    }
    for name, types in arguments.items():
        function = getattr(library, f"EAS_{name}")
        function.argtypes, function.restype = types, c_long
    return library
