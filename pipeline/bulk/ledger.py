"""What a job has done: `results.jsonl`, a row an item, written as items finish.

In a folder, rows are appended and on the disk before the next step. A bucket has no appending:
rows go into an object of their own, and all are joined at the end of a call. A row follows its
output, so that whoever is stopped in between does an item again, and nobody reads a row without
its output.

Of several rows of an item the one that was written last counts. Rows are numbered for that: each
call goes on from the highest number that it reads. Clocks have no part in it.
"""

import json
import logging
import os
import re
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audiostyle.artifacts import digest_of
from audiostyle.files import remove_temporaries
from audiostyle.files_at import editing
from audiostyle.store import FolderStore, Store, open_store
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from pipeline.bulk.result_rows import FORMATS, HIGHEST, Line, lines

log = logging.getLogger(__name__)

STATE = ".audiostyle"
# Raised when the same inputs and settings come to give another sound.
VERSION = 1

_RESULTS = re.compile(r"results(-\d+-of-\d+)?\.jsonl")
# Lines of a file that are no rows and are named in the log.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class LastRow:
    """What is remembered of an item's last row.

    key: of inputs, settings and model; sequence: the row's number; size: of the output in bytes.
    """

    key: bytes
    sequence: int
    output: str
    size: int


def key_of(
    settings: tuple[dict[str, Any], dict[str, Any]], model: dict[str, str], inputs: dict[str, str]
) -> str:
    """What an item's result depends on. inputs: role to a text that changes with the recording."""
    stylize = StylizeConfig.decisive(settings[0])
    reconstruct = ReconstructConfig.decisive(settings[1])
    return digest_of([VERSION, stylize, reconstruct, model, inputs])


class Ledger:
    """Rows and outputs at a URI, of one shard's call."""

    def __init__(self, uri: str, shard: tuple[int, int] = (0, 1)) -> None:
        self.store = open_store(uri)
        self.state = self.store.below(STATE)
        self.whole = shard[1] == 1
        self.name = "results.jsonl" if self.whole else f"results-{shard[0]}-of-{shard[1]}.jsonl"
        # Names in the store that are recordings of the job: no output that is superseded is.
        self.recordings: Collection[str] = ()
        self._shard = f"{shard[0]}-of-{shard[1]}"
        self._last: dict[str, LastRow] = {}
        self._sequence = 0
        self._sizes: dict[str, int] | None = None

    @property
    def folder(self) -> Path | None:
        """The folder where this is one."""
        return self.store.folder if isinstance(self.store, FolderStore) else None

    @property
    def address(self) -> str:
        """Where the rows are, for a person: a path, or s3://bucket/key."""
        return f"{self.store.uri}/{self.name}"

    def load(self) -> None:
        """Read the rows of this shard and of all others. Lines that are no rows are logged."""
        self._last, self._sequence = {}, 0
        for store, key in self._sources():
            refused = 0
            for line in lines(store, key):
                if line.row is not None:
                    self._note(line.row)
                    continue
                refused += 1
                if refused <= _NAMED:
                    log.warning(
                        "%s/%s: line %d is no row: %s; passed over",
                        *(store.uri, key, line.number, line.problem),
                    )
            if refused > _NAMED:
                log.warning("%s/%s: %d more lines are no rows", store.uri, key, refused - _NAMED)
        self._sizes = None
        if self.folder is None:
            self._sizes = {
                entry.key: entry.size
                for entry in self.store.list()
                if entry.key.endswith(FORMATS) and "/" not in entry.key
            }

    def clean(self) -> None:
        """Put in order what stopped writers left: half a row, files without a name yet."""
        if self.folder is None or not self.folder.is_dir():
            return
        if os.path.lexists(self.folder / self.name):
            with editing(self.folder, self.name) as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(0, end - 1))
                if end and file.read(1) != b"\n":
                    # It is ended, not cut off: it need not be ours.
                    file.write(b"\n")
        if self.whole:
            remove_temporaries(self.folder)

    def done(self, id: str) -> LastRow | None:
        """The item's row, where it was done and its output is there in full size."""
        last = self._last.get(id)
        if last is None or not last.output or self._size(last.output) != last.size:
            return None
        return last

    def _size(self, output: str) -> int | None:
        return self.store.size(output) if self._sizes is None else self._sizes.get(output)

    def place(self, output: str, path: Path) -> None:
        """Put an output where it belongs, whole. The file must not be written to afterwards."""
        self.store.put_file(output, path)

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Number rows and write them, durably; outputs that they supersede are removed."""
        first = self._sequence + 1
        numbered = [{**row, "sequence": min(first + n, HIGHEST)} for n, row in enumerate(rows)]
        text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in numbered).encode()
        if self.folder is not None:
            _append(self.folder, self.name, text)
        else:
            part = f"rows/{self._shard}/{min(first, HIGHEST):020d}-{uuid.uuid4().hex[:8]}.jsonl"
            self.state.put(part, text)
        for row in numbered:
            before = self._last.get(row["id"])
            if (
                before
                and before.output
                and row["output"] not in ("", before.output)
                and before.output not in self.recordings
            ):
                self.store.delete(before.output)
            self._note(row)

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows, superseded ones too, one at a time."""
        for line in self._lines(self._sources()):
            if line.row is not None:
                yield line.row

    def latest(self, ids: set[str]) -> dict[str, dict[str, Any]]:
        """The last row of some items."""
        latest: dict[str, dict[str, Any]] = {}
        for row in self.rows():
            before = latest.get(row["id"])
            if row["id"] in ids and (before is None or _sequence(before) <= _sequence(row)):
                latest[row["id"]] = row
        return latest

    def compact(self, scratch: Path) -> None:
        """Leave one row an item in one object: this shard's, or of the whole job's all.

        scratch: a path for a file meanwhile. Lines that are no rows of ours, and so may be
        somebody's, are kept in the state's folder.
        """
        sources = [source for source in self._sources() if self.whole or self._own(*source)]
        last: dict[str, tuple[int, int]] = {}  # sequence, and the line's place among all
        foreign = []
        count = 0
        for source in sources:
            for line in lines(*source):
                count += 1
                if line.row is not None:
                    at = _sequence(line.row), count
                    last[line.row["id"]] = max(last.get(line.row["id"], at), at)
                elif not line.ours and source not in foreign:
                    foreign.append(source)
        if not count or (count == len(last) and sources == [(self.store, self.name)]):
            return
        chosen = {place for _, place in last.values()}
        with scratch.open("wb") as file:
            for place, line in enumerate(self._lines(sources), 1):
                if place in chosen:
                    file.write(line.content + b"\n")
        for source in foreign:
            self._keep(*source, scratch.with_suffix(".foreign"))
        self.store.put_file(self.name, scratch)
        scratch.unlink()
        for store, key in sources:
            if (store, key) != (self.store, self.name):
                store.delete(key)

    def _keep(self, store: Store, key: str, scratch: Path) -> None:
        """A copy of a file of rows in which other lines are, too."""
        name = f"replaced-{uuid.uuid4().hex[:8]}-{key.rpartition('/')[2]}"
        with store.open(key) as stream, scratch.open("wb") as file:
            for chunk in stream.chunks:
                file.write(chunk)
        self.state.put_file(name, scratch)
        scratch.unlink()
        log.warning(
            "%s/%s: had lines that are no rows; as it was it is in %s/%s",
            *(store.uri, key, self.state.uri, name),
        )

    def _own(self, store: Store, key: str) -> bool:
        return key == self.name or key.startswith(f"rows/{self._shard}/")

    def _sources(self) -> list[tuple[Store, str]]:
        """Stores and keys of all rows, in the order of writing as far as names say."""
        keys = [e.key for e in self.store.list("results") if _RESULTS.fullmatch(e.key)]
        # Shards that were not joined yet have worked after the whole.
        sources = [(self.store, key) for key in sorted(keys, key=lambda k: (k.count("-"), k))]
        if self.folder is None:
            sources += [(self.state, entry.key) for entry in self.state.list("rows/")]
        return sources

    @staticmethod
    def _lines(sources: list[tuple[Store, str]]) -> Iterator[Line]:
        for source in sources:
            yield from lines(*source)

    def _note(self, row: dict[str, Any]) -> None:
        sequence = _sequence(row)
        self._sequence = max(self._sequence, sequence)
        last = self._last.get(row["id"])
        if last is None or last.sequence <= sequence:
            self._last[row["id"]] = LastRow(
                bytes.fromhex(row["key"]), sequence, row["output"], row["bytes"]
            )


def now() -> str:
    """The time in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _sequence(row: dict[str, Any]) -> int:
    """A row's number; 0 of rows of earlier releases, of which the later line counts."""
    return int(row.get("sequence", 0))


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
