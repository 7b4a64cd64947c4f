"""Transfers of a session: two at a time, each with its progress and its result."""

import contextlib
import csv
import io
import itertools
import logging
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from audiostyle import audio
from audiostyle.errors import AudiostyleError, InputError
from components.stylize import methods
from components.stylize.config import StylizeConfig
from pipeline.library import transfer
from pipeline.trial.sounds import Sound, Sounds

log = logging.getLogger(__name__)

State = Literal["waiting", "running", "done", "failed", "canceled"]

# Settings that the page offers.
OFFERED = ("method", "strength", "transpose")
MOST_STYLES = 5
_AT_A_TIME = 2
# Transfers that may wait: more than anybody listens to.
_MOST_WAITING = 20


def offered_methods() -> list[str]:
    """Methods that need no setting that the page lacks, such as a file of weights."""
    offered = []
    for name in methods.names():
        with contextlib.suppress(InputError):
            StylizeConfig.parse({"method": name}, "settings")
            offered.append(name)
    return offered


class _CanceledError(Exception):
    """Somebody pressed Cancel."""


@dataclass
class Transfer:
    """A transfer that was asked for.

    styles: recordings of one style. share: done of it, from 0 to 1. error: one line.
    """

    number: int
    content: Sound
    styles: tuple[Sound, ...]
    config: StylizeConfig
    state: State = "waiting"
    share: float = 0.0
    error: str = ""
    result: Sound | None = None
    ending: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """What its result is called, without ending."""
        more = f" and {len(self.styles) - 1} more" if self.styles[1:] else ""
        return f"{Path(self.content.name).stem} as {Path(self.styles[0].name).stem}{more}"

    def settings(self) -> dict[str, Any]:
        """The settings that the page offers, as chosen."""
        return {name: getattr(self.config, name) for name in OFFERED}

    def described(self) -> dict[str, Any]:
        """What the page shows of it."""
        return {
            "number": self.number,
            "content": self.content.described(),
            "styles": [style.described() for style in self.styles],
            "settings": self.settings(),
            "state": self.state,
            "share": round(self.share, 3),
            "ending": self.ending.is_set(),
            "error": self.error,
            "result": self.result and self.result.described(),
        }

    def manifest(self) -> str:
        """A manifest of one row, as CSV: what makes this result beside the recordings.

        `audiostyle stylize --manifest` reads it.
        """
        names = _file_names([self.content, *self.styles])
        row = {
            "id": _id(self.name),
            "content": names[self.content.id],
            "style": names[self.styles[0].id],
            **{f"style_{number}": names[x.id] for number, x in enumerate(self.styles[1:], 2)},
            **self.settings(),
        }
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
        return text.getvalue()


class Transfers:
    """All transfers of a session."""

    def __init__(self, sounds: Sounds, model: Path) -> None:
        """model: a classifier's folder."""
        self._sounds = sounds
        self._model = model
        self._transfers: dict[int, Transfer] = {}
        self._numbers = itertools.count(1)
        self._pool = ThreadPoolExecutor(_AT_A_TIME, "transfer")

    def all(self) -> list[Transfer]:
        """Newest first."""
        return list(reversed(self._transfers.values()))

    def get(self, number: int) -> Transfer:
        """A transfer. Raises InputError where there is none of this number."""
        if number not in self._transfers:
            raise InputError(f"there is no transfer {number}")
        return self._transfers[number]

    def start(self, content: str, styles: Sequence[str], settings: Mapping[str, Any]) -> Transfer:
        """Begin a transfer between recordings of the session, by their ids.

        Raises InputError for a recording that is not there, and for settings that are wrong.
        """
        if unknown := sorted(settings.keys() - set(OFFERED)):
            raise InputError(f"{unknown[0]:.80}: this page offers {', '.join(OFFERED)}")
        if sum(each.state == "waiting" for each in self._transfers.values()) >= _MOST_WAITING:
            raise InputError(f"{_MOST_WAITING} transfers are waiting; cancel some, or wait")
        config = StylizeConfig.parse(settings, "settings")
        if not 1 <= len(styles) <= MOST_STYLES:
            raise InputError(f"styles: 1 to {MOST_STYLES} recordings are needed")
        sounds = tuple(self._sounds.get(style) for style in styles)
        asked = Transfer(next(self._numbers), self._sounds.get(content), sounds, config)
        self._transfers[asked.number] = asked
        self._pool.submit(self._run, asked)
        return asked

    def cancel(self, number: int) -> Transfer:
        """End a transfer: at once where it waits, else at its next step."""
        asked = self.get(number)
        asked.ending.set()
        if asked.state == "waiting":
            asked.state = "canceled"
        return asked

    def close(self) -> None:
        """End all of them, and wait until they have."""
        for asked in self._transfers.values():
            asked.ending.set()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, asked: Transfer) -> None:
        def watch(share: float) -> None:
            asked.share = share
            if asked.ending.is_set():
                raise _CanceledError

        try:
            watch(0.0)
            asked.state = "running"
            samples, rate = transfer(
                asked.content.file,
                [style.file for style in asked.styles],
                model=self._model,
                progress=watch,
                **asked.settings(),
            )
            path = self._sounds.new_path(".wav")
            audio.write(path, samples, rate)
            asked.result = self._sounds.add_result(f"{asked.name}.wav", path)
            asked.state = "done"
        except _CanceledError:
            asked.state = "canceled"
        except (AudiostyleError, OSError, MemoryError) as error:
            asked.error = str(error) or type(error).__name__
            asked.state = "failed"
        except Exception as error:
            log.exception("transfer %d", asked.number)
            asked.error = f"{type(error).__name__}: {error}"
            asked.state = "failed"


def _file_names(sounds: Sequence[Sound]) -> dict[str, str]:
    """A name for each recording, by its id: its own, numbered where another one has it."""
    names: dict[str, str] = {}
    for sound in sounds:
        path = Path(sound.name)
        numbered = (f"{path.stem} ({number}){path.suffix}" for number in itertools.count(2))
        if sound.id not in names:
            options = itertools.chain([sound.name], numbered)
            names[sound.id] = next(name for name in options if name not in names.values())
    return names


def _id(text: str) -> str:
    """A text as the id of a manifest's row."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:100] or "result"
