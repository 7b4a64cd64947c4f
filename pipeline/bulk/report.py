"""The report page of a job: its first items, to hear and to see."""

import logging
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from audiostyle.errors import AudiostyleError
from audiostyle.recordings import Recordings
from pipeline.bulk.items import Base, Item, Items
from pipeline.bulk.ledger import Ledger
from pipeline.bulk.plan import Model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """A report: its address, and the same as one small file without sound."""

    address: str
    embedded: str


def write(
    items: Items, ledger: Ledger, base: Base, model: Model, most: int, scratch: Path
) -> Page | None:
    """Write `report.html` of the first `most` items of the manifest.

    A page of thousands would be of no use; `results.jsonl` has them all. scratch: folder in which
    the page is made, before its files are put beside the results. None where the page cannot be
    made, which is logged: the results are there either way.
    """
    from components.reconstruct.report.page import PAGE, embedded_html, write_report

    chosen = list(islice(items, most))
    rows = ledger.latest({item.id for item in chosen})
    done = [item for item in chosen if rows.get(item.id, {}).get("status") == "done"]
    folder = scratch / "report"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with Recordings(scratch / "shown") as recordings:
            shown = [_shown(item, rows[item.id], ledger, recordings, folder) for item in done]
            write_report(
                folder,
                shown,
                None,
                title=base.reconstruct.title,
                subtitle=f"The first {len(shown)} of {items.count}" * (items.count > len(shown)),
                model={"name": model.name, "digest": model.digest},
            )
        outputs = {rows[item.id]["output"] for item in done}
        for path in sorted(folder.rglob("*")):
            key = path.relative_to(folder).as_posix()
            if path.is_file() and key not in outputs:
                ledger.store.put_file(key, path)
        return Page(f"{ledger.folder or ledger.store.uri}/{PAGE}", embedded_html(folder))
    except (AudiostyleError, OSError) as error:
        log.warning("report: not made: %s", error)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _shown(
    item: Item, row: dict[str, Any], ledger: Ledger, recordings: Recordings, folder: Path
) -> Any:
    """An item of the page. Its result lies beside the page, and so is linked and not copied."""
    from components.reconstruct.report.page import Item as Shown

    places = item.places()
    paths = {role: recordings.local([place])[place][0] for role, place in places.items()}
    paths["result"] = folder / row["output"]
    with ledger.store.open(row["output"]) as stream, paths["result"].open("wb") as file:
        for chunk in stream.chunks:
            file.write(chunk)
    measures = {name: value for name, value in row.get("measures", {}).items() if value is not None}
    settings = row.get("settings", {}).get("stylize", {})
    losses, heard = row.get("losses", {}), row.get("heard", "")
    return Shown(item.id, paths, measures, losses, settings, heard=heard)
