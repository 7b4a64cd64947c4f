"""One line of `audiostyle cluster check`."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "missing", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, and what it came to."""

    name: str
    state: State
    text: str
