"""The process that does the work: batches in, by one pipe; what became of them out, by another.

A process of its own can be killed when a recording hangs or crashes a decoder, and each core has
one. JSON lines both ways; what it prints goes to a log.
"""

import json
import logging
import os
import queue
import shutil
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from audiostyle import artifacts
from audiostyle.errors import AudioError, AudiostyleError
from audiostyle.retry import passes
from audiostyle.store import Store, StoreUnavailableError, open_store
from audiostyle.uris import split_s3
from components.stylize.pairs import is_uri

# Bytes of recordings from buckets that stay on this machine for later batches.
_FETCHED = 1 << 30
# Recordings fetched at a time.
_FETCHING = 8


def main(arguments: list[str]) -> None:
    """Work on batches until the pipe ends."""
    read, write, threads = map(int, arguments[:3])
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    answers = os.fdopen(write, "w", encoding="utf-8")
    batches = _listen(read)
    worker = Worker(threads)
    _say(answers, {"ready": True})
    while True:
        _say(answers, worker.answer(batches.get()))


def _listen(read: int) -> "queue.Queue[dict[str, Any]]":
    """Batches as they come. When the caller is gone, so is this process, whatever it does."""
    batches: queue.Queue[dict[str, Any]] = queue.Queue()

    def listen() -> None:
        with os.fdopen(read, encoding="utf-8") as lines:
            for line in lines:
                batches.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return batches


def _say(answers: TextIO, told: dict[str, Any]) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


class Worker:
    """Both stages, for one batch after another; what they share is loaded once."""

    def __init__(self, threads: int) -> None:
        # Imported here, so that the caller's own import of this module costs nothing.
        import torch

        import components.reconstruct.reconstruct
        import components.stylize.stylize  # noqa: F401

        torch.set_num_threads(threads)
        self._session: Any = None
        self._recordings: Recordings | None = None

    def answer(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What became of a batch: a row an item, or the error that all of it failed with."""
        try:
            return self._work(batch)
        except (AudiostyleError, OSError) as error:
            return {
                "error": str(error),
                "passes": passes(error),
                # The same again would fail the same way.
                "final": isinstance(error, AudiostyleError) and error.exit_code == 2,
                "path": error.path if isinstance(error, AudioError) else "",
            }
        finally:
            shutil.rmtree(Path(batch["folder"]) / "stylized", ignore_errors=True)

    def _work(self, batch: dict[str, Any]) -> dict[str, Any]:
        from components.reconstruct.config import ReconstructConfig
        from components.reconstruct.reconstruct import reconstruct
        from components.stylize.config import StylizeConfig
        from components.stylize.pairs import Pair
        from components.stylize.session import Session
        from components.stylize.stylize import stylize

        folder = Path(batch["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        if self._recordings is None:
            self._recordings = Recordings(Path(batch["recordings"]))
        if self._session is None or self._session.classifier != batch["classifier"]:
            self._session = Session(batch["classifier"])
        pairs, tags = [], {}
        places = {place for item in batch["items"] for place in item["places"].values()}
        here = self._recordings.here(places, batch["soon"])
        for item in batch["items"]:
            local = {role: here[place] for role, place in item["places"].items()}
            tags[item["id"]] = {role: tag for role, (_, tag) in local.items()}
            pairs.append(Pair(item["id"], **{role: path for role, (path, _) in local.items()}))
        names = {str(path): place for place, (path, _) in here.items()}
        begun = time.perf_counter()
        try:
            stylize(
                pairs,
                batch["classifier"],
                folder / "stylized",
                StylizeConfig.parse(batch["stylize"], "stylize"),
                batch["model"],
                batch["kept"],
                session=self._session,
            )
        except AudioError as error:
            place = names.get(error.path, error.path)
            raise AudioError(place, error.reason) from None
        between = time.perf_counter()
        config = ReconstructConfig.parse(batch["reconstruct"], "reconstruct")
        reconstruct(folder / "stylized", folder / "audio", config, report=False)
        seconds = {"stylize": between - begun, "reconstruct": time.perf_counter() - between}
        return {"rows": _rows(folder, tags), "seconds": seconds}


def _rows(folder: Path, tags: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    # Made by this process just now: what it wrote need not be hashed again to be believed.
    hashes = {
        part: artifacts.Manifest.parse(
            json.loads((folder / part / artifacts.MANIFEST).read_text(encoding="utf-8")), folder
        ).files
        for part in ("stylized", "audio")
    }
    made = {row["id"]: row for row in artifacts.read_table(folder / "audio" / "items.jsonl")}
    rows = []
    for item in artifacts.read_table(folder / "stylized" / "items.jsonl"):
        output = made[item["id"]]
        figures = {k: v for k, v in output.items() if k not in ("id", "file", "sources")}
        rows.append(
            {
                "id": item["id"],
                "error": item["error"],
                "output": output["file"],
                "bytes": (folder / "audio" / output["file"]).stat().st_size,
                "sha256": hashes["audio"][output["file"]],
                "inputs": {
                    role: {
                        "sha256": hashes["stylized"][path],
                        **({"tag": tags[item["id"]][role]} if tags[item["id"]][role] else {}),
                    }
                    for role, path in item["audio"].items()
                },
                "settings": item["settings"],
                "losses": {
                    name: [float(f"{value:.5g}") for value in values]
                    for name, values in item["losses"].items()
                },
                "measures": figures,
            }
        )
    return rows


class Recordings:
    """Recordings on this machine: those from buckets are fetched once, while there is room."""

    def __init__(self, folder: Path, most: int = _FETCHED) -> None:
        self._folder = folder
        self._most = most
        # Files and tags by URI, there or on their way, the last used last.
        self._files: OrderedDict[str, Future[tuple[Path, str]]] = OrderedDict()
        self._stores: dict[str, Store] = {}
        self._number = 0
        self._pool = ThreadPoolExecutor(_FETCHING)

    def here(self, places: Collection[str], soon: Collection[str]) -> dict[str, tuple[Path, str]]:
        """The file of each path or URI, and the object's tag; raises the store's errors.

        soon: what is asked for next, which is fetched meanwhile. Should that fail, it is tried
        again when it is asked for.
        """
        wanted = list(filter(is_uri, places))
        coming = list(filter(is_uri, soon))
        self._make_room({*wanted, *coming})
        for uri in (*wanted, *coming):
            self._begin(uri)
        return {p: self._files[p].result() if is_uri(p) else (Path(p), "") for p in places}

    def _begin(self, uri: str) -> None:
        file = self._files.get(uri)
        if file is None or _failed(file):
            bucket, _ = split_s3(uri)
            if bucket not in self._stores:
                self._stores[bucket] = open_store(f"s3://{bucket}")
            # A folder each: objects of one name from several places keep that name.
            self._number += 1
            self._files[uri] = self._pool.submit(self._fetched, uri, self._number)
        self._files.move_to_end(uri)

    def _make_room(self, needed: set[str]) -> None:
        """Remove what was used longest ago beyond the most that is kept, but nothing needed."""
        there = {u: f.result()[0] for u, f in self._files.items() if f.done() and not _failed(f)}
        sizes = {uri: path.stat().st_size for uri, path in there.items()}
        size = sum(sizes.values())
        for uri, path in there.items():
            if size > self._most and uri not in needed:
                del self._files[uri]
                size -= sizes[uri]
                shutil.rmtree(path.parent)

    def _fetched(self, uri: str, number: int) -> tuple[Path, str]:
        bucket, key = split_s3(uri)
        target = self._folder / str(number) / (key.rpartition("/")[2] or "recording")
        target.parent.mkdir(parents=True)
        try:
            with self._stores[bucket].open(key) as stream, target.open("wb") as file:
                for chunk in stream.chunks:
                    file.write(chunk)
            if target.stat().st_size != stream.total:
                raise StoreUnavailableError(f"{uri}: ended before all of it was there")
        except BaseException:
            shutil.rmtree(target.parent, ignore_errors=True)
            raise
        return target, stream.tag


def _failed(file: "Future[Any]") -> bool:
    return file.done() and file.exception() is not None


if __name__ == "__main__":
    main(sys.argv[1:])
