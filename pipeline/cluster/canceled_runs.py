"""Which runs were canceled from here, or seen being canceled.

The server calls a canceled run failed, and keeps in its history that it was to be canceled only
where a report of the run comes in between. So it is remembered here, in a file of the user's state.
"""

import os
from pathlib import Path

from audiostyle.files import write_text

_MOST = 1000  # runs; the oldest are forgotten


def _file() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "audiostyle" / "canceled-runs"


def remembered() -> list[str]:
    """Ids of runs, the newest last."""
    try:
        return _file().read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []


def remember(run_id: str) -> None:
    """Add a run. A home that cannot be written is no error: the run is canceled all the same."""
    known = remembered()
    if run_id in known:
        return
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_text(_file(), "\n".join([*known[1 - _MOST :], run_id]) + "\n")
    except OSError:
        pass
