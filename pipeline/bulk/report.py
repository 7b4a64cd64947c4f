"""The report page of a job: its first items, to hear and to see."""

import logging
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from audiostyle.errors import AudiostyleError
from components.reconstruct.report.page import PAGE, Item, embedded_html, write_report
from components.stylize.fetch import fetch
from components.stylize.pairs import is_uri
from pipeline.bulk.items import Base, Items
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

    A page of thousands would be of no use; `results.jsonl` has them all. None where the page
    cannot be made, which is logged: the results are there either way.
    """
    chosen = list(islice(items, most))
    rows = ledger.latest({item.id for item in chosen})
    folder = ledger.folder or scratch / "report"
    local = ledger.folder is not None
    shown = []
    names: list[str] = []
    try:
        for number, item in enumerate(chosen):
            row = rows.get(item.id)
            if row is None or row["status"] != "done":
                continue
            places = {**item.places(), "result": f"{ledger.store.uri}/{row['output']}"}
            if local:
                places["result"] = str(folder / row["output"])
            paths = {}
            for role, place in places.items():
                paths[role] = Path(place)
                if is_uri(place):
                    # Beside the page it is linked, and so heard where the page is put in the end.
                    inside = role == "result"
                    paths[role] = (
                        folder / row["output"] if inside else _named(scratch, number, place)
                    )
                    paths[role].parent.mkdir(parents=True, exist_ok=True)
                    fetch(place, paths[role])
                    names += [row["output"]] if inside else []
            shown.append(
                Item(item.id, paths, row["measures"], row["losses"], row["settings"]["stylize"])
            )
        subtitle = f"The first {len(shown)} of {items.count}" if items.count > len(shown) else ""
        folder.mkdir(parents=True, exist_ok=True)
        write_report(
            folder,
            shown,
            None,
            title=base.reconstruct.title,
            subtitle=subtitle,
            model={"name": model.name, "digest": model.digest},
        )
        embedded = embedded_html(folder)
        if not local:
            for path in sorted(folder.rglob("*")):
                key = path.relative_to(folder).as_posix()
                if path.is_file() and key not in names:
                    ledger.store.put_file(key, path)
    except (AudiostyleError, OSError) as error:
        log.warning("report: not made: %s", error)
        return None
    finally:
        shutil.rmtree(scratch / "report", ignore_errors=True)
        shutil.rmtree(scratch / "shown", ignore_errors=True)
    return Page(str(folder / PAGE) if local else f"{ledger.store.uri}/{PAGE}", embedded)


def _named(scratch: Path, number: int, uri: str) -> Path:
    return scratch / "shown" / str(number) / uri.rpartition("/")[2]
