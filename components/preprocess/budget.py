"""What an archive may grow to, counted while it does."""

from dataclasses import dataclass
from pathlib import Path

from audiostyle.errors import InputError
from components.preprocess.disk import require_space


@dataclass(frozen=True)
class Limits:
    """What an archive may grow to.

    files: NSynth, the largest that is known by name, has 306,000. ratio: expanded to compressed;
    deflate cannot do better than 1032, PCM audio seldom better than 10. floor: bytes that are
    always allowed, so that small archives of silence are.
    """

    files: int = 1_000_000
    ratio: float = 50.0
    floor: int = 1 << 28

    def bytes(self, archive: Path) -> int:
        """Bytes to which this archive may expand."""
        return max(self.floor, int(self.ratio * archive.stat().st_size))


class Budget:
    """Counts files and bytes, and raises InputError beyond the limits or what the disk holds."""

    def __init__(self, archive: Path, folder: Path, limits: Limits) -> None:
        self._archive, self._folder, self._limits = archive, folder, limits
        self._bytes = limits.bytes(archive)
        self._files = 0

    def copy(self) -> "Budget":
        """Another one of the same limits, of which nothing was taken."""
        return Budget(self._archive, self._folder, self._limits)

    def file(self) -> None:
        """Take a file."""
        self._files += 1
        if self._files > self._limits.files:
            raise InputError(
                f"{self._archive}: holds more than {self._limits.files} files; not extracted"
            )

    def expand(self, size: int) -> None:
        """Take bytes of what the archive expands to."""
        self._bytes -= size
        if self._bytes < 0:
            raise InputError(
                f"{self._archive}: expands to more than {self._limits.bytes(self._archive)} bytes,"
                f" {self._limits.ratio:g} times its size; not extracted"
            )

    def space(self, size: int) -> None:
        """Raise AudiostyleError unless the disk has room for so many bytes."""
        require_space(self._folder.parent, size, self._archive.name)
