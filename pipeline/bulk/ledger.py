"""What a job has done: `results.jsonl`, a row an item, written as items finish.

In a folder, rows are appended and on the disk before the next step. A bucket has no appending:
rows go into an object of their own, and all are joined at the end of a call. A row follows its
output, so that whoever is stopped in between does an item again, and nobody finds a row without
its output. Of several rows of an item the last counts.
"""

import json
import logging
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audiostyle.artifacts import digest_of
from audiostyle.files import remove_temporaries
from audiostyle.files_at import editing
from audiostyle.store import FolderStore, Store, open_store
from components.stylize.pairs import SAFE_ID

log = logging.getLogger(__name__)

STATE = ".audiostyle"
FORMATS = ("wav", "flac")
# Raised when the same inputs and settings come to give another sound.
VERSION = 1

_RESULTS = re.compile(r"results(-\d+-of-\d+)?\.jsonl")


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a row. key: of inputs, settings and model; size: of the output."""

    key: bytes
    finished: str
    output: str
    size: int


def key_of(
    settings: tuple[dict[str, Any], dict[str, Any]], model: dict[str, str], inputs: dict[str, str]
) -> str:
    """What an item's result depends on. inputs: role to a text that changes with the recording."""
    stylize, reconstruct = ({**part} for part in settings)
    for part in (stylize, reconstruct):
        for name in ("device", "batch", "title"):  # where, how many at once, and a page's heading
            part.pop(name, None)
    return digest_of([VERSION, stylize, reconstruct, model, inputs])


class Ledger:
    """Rows and outputs at a URI, of one shard's call."""

    def __init__(self, uri: str, shard: tuple[int, int] = (0, 1)) -> None:
        self.store = open_store(uri)
        self.state = self.store.below(STATE)
        self.whole = shard[1] == 1
        self.name = "results.jsonl" if self.whole else f"results-{shard[0]}-of-{shard[1]}.jsonl"
        self._shard = f"{shard[0]}-of-{shard[1]}"
        self._known: dict[str, Known] = {}
        self._sizes: dict[str, int] | None = None

    @property
    def folder(self) -> Path | None:
        """The folder where this is one."""
        return self.store.folder if isinstance(self.store, FolderStore) else None

    def load(self) -> None:
        """Read what is known: of this shard and of all others."""
        self._known = {}
        for row in self.rows():
            self._note(row)
        self._sizes = None
        if self.folder is None:
            self._sizes = {
                entry.key: entry.size
                for entry in self.store.list()
                if entry.key.endswith(FORMATS) and "/" not in entry.key
            }

    def clean(self) -> None:
        """Remove what stopped writers left: half a row, files without a name yet."""
        if self.folder is None or not self.folder.is_dir():
            return
        path = self.folder / self.name
        if path.is_file():
            with editing(self.folder, self.name) as file:
                end = file.seek(0, os.SEEK_END)
                whole = _whole(file, end)
                if whole < end:
                    log.warning("%s: its last row was cut short; that item is done again", path)
                    file.truncate(whole)
        if self.whole:
            remove_temporaries(self.folder)

    def done(self, id: str) -> Known | None:
        """The item's row, where it was done and its output is there in full size."""
        known = self._known.get(id)
        if known is None or not known.output or self._size(known.output) != known.size:
            return None
        return known

    def _size(self, output: str) -> int | None:
        return self.store.size(output) if self._sizes is None else self._sizes.get(output)

    def place(self, output: str, path: Path) -> None:
        """Put an output where it belongs, whole. The file must not be written to afterwards."""
        self.store.put_file(output, path)

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Write rows, durably; outputs that they supersede under another name are removed."""
        text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode()
        if self.folder is not None:
            _append(self.folder, self.name, text)
        else:
            part = f"rows/{self._shard}/{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.jsonl"
            self.state.put(part, text)
        for row in rows:
            before = self._known.get(row["id"])
            if before and before.output and row["output"] not in ("", before.output):
                self.store.delete(before.output)
            self._note(row)

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows, superseded ones too, one at a time."""
        for store, key in self._sources():
            yield from _rows(store, key)

    def latest(self, ids: set[str]) -> dict[str, dict[str, Any]]:
        """The last row of some items."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows():
            if row["id"] in ids and row["finished"] >= found.get(row["id"], row)["finished"]:
                found[row["id"]] = row
        return found

    def compact(self, scratch: Path) -> None:
        """Leave one row an item in one object: this shard's, or of the whole job's all."""
        sources = [source for source in self._sources() if self.whole or self._own(*source)]
        last: dict[str, str] = {}
        count = 0  # of lines, rows or not
        for store, key in sources:
            with store.open(key) as stream:
                for line in _lines(stream.chunks):
                    count += 1
                    if (row := _row(line)) is not None:
                        last[row["id"]] = max(last.get(row["id"], ""), row["finished"])
        if not count or (count == len(last) and sources == [(self.store, self.name)]):
            return
        with scratch.open("w", encoding="utf-8") as file:
            for store, key in sources:
                for row in _rows(store, key):
                    if last.get(row["id"]) == row["finished"]:
                        del last[row["id"]]
                        file.write(json.dumps(row, allow_nan=False) + "\n")
        self.store.put_file(self.name, scratch)
        scratch.unlink()
        for store, key in sources:
            if (store, key) != (self.store, self.name):
                store.delete(key)

    def _own(self, store: Store, key: str) -> bool:
        return key == self.name or key.startswith(f"rows/{self._shard}/")

    def _sources(self) -> list[tuple[Store, str]]:
        keys = [e.key for e in self.store.list("results") if _RESULTS.fullmatch(e.key)]
        found = [(self.store, key) for key in keys]
        if self.folder is None:
            found += [(self.state, entry.key) for entry in self.state.list("rows/")]
        return found

    def _note(self, row: dict[str, Any]) -> None:
        known = self._known.get(row["id"])
        if known is None or known.finished <= row["finished"]:
            self._known[row["id"]] = Known(
                bytes.fromhex(row["key"]), row["finished"], row["output"], row["bytes"]
            )


def now() -> str:
    """The time in UTC, in a form that sorts."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _append(folder: Path, name: str, text: bytes) -> None:
    """All of the text, on the disk, or none of it."""
    with editing(folder, name) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            if file.write(text) < len(text):
                # The rest did not fit; asking again tells why.
                file.write(text[file.tell() - before :])
            os.fsync(file.fileno())
            if file.tell() - before != len(text):
                raise OSError(28, os.strerror(28), str(folder / name))
        except OSError:
            file.truncate(before)
            raise


def _whole(file: Any, end: int) -> int:
    """Where the last whole line of a file ends."""
    at = end
    while at > 0:
        start = max(0, at - 65536)
        file.seek(start)
        found = file.read(at - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        at = start
    return 0


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        yield from whole
    # What has no end was cut short, and is not a row.


def _rows(store: Store, key: str) -> Iterator[dict[str, Any]]:
    with store.open(key) as stream:
        for line in _lines(stream.chunks):
            row = _row(line)
            if row is None:
                log.warning("%s/%s: passed over a line that is no row: %.60r", store.uri, key, line)
            else:
                yield row


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
        bytes.fromhex(row["key"])
        texts = (row["id"], row["finished"], row["output"])
        sound = all(isinstance(text, str) for text in texts) and isinstance(row["bytes"], int)
    except (ValueError, KeyError, TypeError):
        return None
    # An output is a file of this job, whatever a damaged row says.
    sound = (
        sound
        and bool(SAFE_ID.fullmatch(row["id"]))
        and row["output"] in ("", *(f"{row['id']}.{form}" for form in FORMATS))
    )
    return row if sound else None
