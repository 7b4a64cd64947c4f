"""Recordings that the page uploads, and results: in a folder for as long as the session lasts."""

import re
import secrets
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiostyle import audio
from audiostyle.audio import blocks
from audiostyle.errors import AudioError, InputError
from components.reconstruct.report import browser_audio, spectrogram_images

# Top of the pictures: what small loudspeakers and ears tell apart; the same for all, so that they
# can be compared.
HIGHEST_HZ = 10_000.0
# A spectrogram has at least one frame: 2,048 samples at 22,050 Hz.
_SHORTEST = 0.1


@dataclass(frozen=True)
class Limits:
    """What an upload may be. total: bytes of all recordings and results of a session."""

    seconds: float = 60.0
    megabytes: int = 50
    total_megabytes: int = 1000


@dataclass(frozen=True)
class Sound:
    """A recording of the session. file: as it came; playable: what a browser plays."""

    id: str
    name: str
    file: Path
    playable: Path
    facts: blocks.Facts

    def described(self) -> dict[str, Any]:
        """What the page shows of it. rms: root mean square, of full scale."""
        return {
            "id": self.id,
            "name": self.name,
            "seconds": round(self.facts.seconds, 3),
            "rate": self.facts.sample_rate,
            "channels": self.facts.channels,
            "rms": self.facts.rms,
        }


class Sounds:
    """All recordings of a session, in a folder."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.limits = limits
        self._sounds: dict[str, Sound] = {}
        self._lock = threading.Lock()
        self._bytes = 0

    def get(self, id: str) -> Sound:
        """A recording. Raises InputError where there is none of this id."""
        if id not in self._sounds:
            raise InputError("this recording is no longer there; choose it again")
        return self._sounds[id]

    def new_path(self, suffix: str) -> Path:
        """A file that is not there yet, in a folder of its own."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir()
        return folder / f"recording{suffix}"

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> Path:
        """Save an upload as it comes in. Raises InputError where it is too large."""
        most = self.limits.megabytes * 1_000_000
        path = self.new_path(_suffix(name))
        size = 0
        try:
            with path.open("xb") as file:
                async for chunk in chunks:
                    if size + len(chunk) > most:
                        raise InputError(
                            f"{name}: is larger than {self.limits.megabytes} MB, the limit of this"
                            " page"
                        )
                    self._take(len(chunk))
                    size += len(chunk)
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
            self._take(-size)
            raise
        return path

    def add(self, name: str, path: Path) -> Sound:
        """Check a file, make it playable, and remember it under a name.

        Raises InputError by that name where it is no audio, silent, too short or too long; the
        file is then removed.
        """
        try:
            sound = Sound(secrets.token_hex(8), name, path, self._playable(path), self._facts(path))
        except AudioError as error:
            self._remove(path)
            raise InputError(f"{name}: {error.reason}") from None
        except BaseException:
            self._remove(path)
            raise
        with self._lock:
            self._sounds[sound.id] = sound
        return sound

    def add_result(self, name: str, path: Path) -> Sound:
        """`add` a file that was written here. Raises InputError beyond a session's limit, too."""
        self._take(path.stat().st_size)
        return self.add(name, path)

    def picture(self, sound: Sound) -> bytes:
        """Its spectrogram as WebP: 40 Hz to `HIGHEST_HZ`, 80 dB below its own loudest point."""
        with audio.opening(sound.file) as source:
            levels = spectrogram_images.levels(source, HIGHEST_HZ)
        return spectrogram_images.encode(levels, spectrogram_images.loudest([levels]))

    def _facts(self, path: Path) -> blocks.Facts:
        facts = blocks.facts(path)
        for _ in facts.through(blocks.blocks(path)):
            if facts.seconds > self.limits.seconds:
                raise AudioError(
                    path, f"is longer than {self.limits.seconds:g} s, the limit of this page"
                )
        blocks.require_sound(facts, path, seconds=_SHORTEST)
        return facts

    def _playable(self, path: Path) -> Path:
        url = browser_audio.publish(path, path.parent).url
        return path.parent / url.removeprefix("./")

    def _remove(self, path: Path) -> None:
        self._take(-path.stat().st_size)
        for file in path.parent.rglob("*"):
            if file.is_file():
                file.unlink()

    def _take(self, size: int) -> None:
        """Count bytes in. Raises InputError beyond what a session may hold."""
        with self._lock:
            if size > 0 and self._bytes + size > self.limits.total_megabytes * 1_000_000:
                raise InputError(
                    f"this session holds {self.limits.total_megabytes} MB of recordings, its limit;"
                    " start `audiostyle try` again"
                )
            self._bytes += size


def _suffix(name: str) -> str:
    """The ending of a file's name, by which some formats are known."""
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
