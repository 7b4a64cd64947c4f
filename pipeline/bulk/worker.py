"""The process that does the work: batches in by one pipe, results out by another.

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
from pathlib import Path
from typing import Any, TextIO

from audiostyle import artifacts
from audiostyle.errors import AudioError, AudiostyleError
from audiostyle.recordings import Recordings
from audiostyle.retry import passes
from audiostyle.terminal import log_to_stderr

# Bytes of recordings from buckets that stay on this machine for later batches.
_CACHE = 1 << 30


def main(arguments: list[str]) -> None:
    """Work on batches until the pipe ends."""
    read, write, threads = map(int, arguments[:3])
    log_to_stderr(logging.WARNING)
    answers = os.fdopen(write, "w", encoding="utf-8")
    batches = _listen(read)
    worker = Worker(threads)
    _send(answers, {"ready": True})
    while True:
        _send(answers, worker.answer(batches.get()))


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


def _send(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
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
        """The results of a batch, a row an item, or the error that all of it failed with."""
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
        from components.reconstruct.formats import check_content
        from components.reconstruct.reconstruct import reconstruct
        from components.stylize.config import StylizeConfig
        from components.stylize.pairs import Pair
        from components.stylize.session import Session
        from components.stylize.stylize import stylize

        folder = Path(batch["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        if self._recordings is None:
            self._recordings = Recordings(Path(batch["recordings"]), _CACHE)
        if self._session is None or self._session.classifier != batch["classifier"]:
            self._session = Session(batch["classifier"])
        pairs, tags = [], {}
        places = {place for item in batch["items"] for place in item["places"].values()}
        files = self._recordings.local(places, batch["soon"])
        for item in batch["items"]:
            local = {role: files[place] for role, place in item["places"].items()}
            tags[item["id"]] = {role: tag for role, (_, tag) in local.items()}
            pairs.append(Pair(item["id"], **{role: path for role, (path, _) in local.items()}))
        names = {str(path): place for place, (path, _) in files.items()}
        begun = time.perf_counter()
        config = ReconstructConfig.parse(batch["reconstruct"], "reconstruct")
        try:
            for pair in pairs:
                check_content(Path(pair.content), config)
            stylize(
                pairs,
                batch["classifier"],
                folder / "stylized",
                StylizeConfig.parse(batch["stylize"], "stylize"),
                batch["model"],
                batch["checkpoint"],
                session=self._session,
            )
        except AudioError as error:
            place = names.get(error.path, error.path)
            raise AudioError(place, error.reason) from None
        between = time.perf_counter()
        reconstruct(folder / "stylized", folder / "audio", config, report=False)
        seconds = {"stylize": between - begun, "reconstruct": time.perf_counter() - between}
        return {"rows": _rows(folder, tags), "seconds": seconds}


def _rows(folder: Path, tags: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    # This process wrote them just now: they need not be hashed again to be trusted.
    hashes = {
        part: artifacts.Manifest.parse(
            json.loads((folder / part / artifacts.MANIFEST).read_text(encoding="utf-8")), folder
        ).files
        for part in ("stylized", "audio")
    }
    outputs = {row["id"]: row for row in artifacts.read_table(folder / "audio" / "items.jsonl")}
    rows = []
    for item in artifacts.read_table(folder / "stylized" / "items.jsonl"):
        output = outputs[item["id"]]
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
                "heard": item["heard"],
            }
        )
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
