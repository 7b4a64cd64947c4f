"""Space on the disk: what else runs on the machine writes, too, so some of it stays free."""

import shutil
from pathlib import Path

from audiostyle.errors import AudiostyleError

# Bytes that stay free.
RESERVE = 64 << 20


def require_space(folder: Path, size: int, name: str) -> None:
    """Raise AudiostyleError unless `size` bytes can be written to a folder, and RESERVE stays free.

    name: what is written. To be asked before the work where its size is known, and before each
    piece where it is not: other programs fill disks as well.
    """
    free = shutil.disk_usage(folder).free
    if size + RESERVE > free:
        raise AudiostyleError(
            f"{folder}: {size + RESERVE} bytes are needed for {name} ({RESERVE} of them are to stay"
            f" free), {free} are free"
        )
