"""numba's cache in an image: compiled at the build, copied to where a container may write.

numba writes beside what it reads, and an image's root is read-only. So a container's cache, in
NUMBA_CACHE_DIR, begins as a copy of the image's; on another kind of CPU numba compiles anew.
NUMBA_CACHE_LOCATOR_CLASSES names this class. Its files are as trusted as the code beside them.
"""

import shutil
from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator

WARM = Path("/opt/numba-cache")


class WarmCacheLocator(UserProvidedCacheLocator):
    """A cache in NUMBA_CACHE_DIR that starts from the image's."""

    def ensure_cache_path(self) -> None:
        """Copy what the image holds for this module before numba looks for it."""
        place = Path(self.get_cache_path())  # type: ignore[no-untyped-call]
        if not place.exists() and (WARM / place.name).is_dir():
            shutil.copytree(WARM / place.name, place, dirs_exist_ok=True)
        super().ensure_cache_path()  # type: ignore[no-untyped-call]
