"""Whether this session has a screen, on which a browser can open a window."""

import os
import sys

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def has_screen() -> bool:
    """Whether a browser could open a window here."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, _DISPLAYS))
