"""The recordings that come with audiostyle: 12 instruments, from five free collections of sounds.

They are read like any folder. Their manifest says of each recording which collection it is from,
and so under which license it is.
"""

from dataclasses import replace
from pathlib import Path

from audiostyle import manifest
from audiostyle.manifest import Columns, one_of
from components.preprocess.datasets import folder
from components.preprocess.datasets.base import Definition, Source, relative
from components.preprocess.datasets.manifest import OLD_LICENSE, with_license

_FIELDS = ("path", "label", "split", "group", "source", "license")
_COLUMNS = Columns(_FIELDS[:-1], one_of((*_FIELDS, OLD_LICENSE)))
# What no other folder has: the manifest's columns, the transfers, and the texts of the licenses.
_MANIFEST, _PARTS = "manifest.csv", ("pairs/pairs.csv", "LICENSES", "train", "validation", "test")


def find(root: Path) -> Path | None:
    """The folder itself, where all parts of the bundled recordings are there."""
    path = root / _MANIFEST
    if not path.is_file() or not all((root / part).exists() for part in _PARTS):
        return None
    with path.open(encoding="utf-8", errors="replace") as lines:
        header = with_license(dict.fromkeys(lines.readline().strip().split(","), ""))
        return root if tuple(header) == _FIELDS else None


def read(root: Path, base: Path) -> list[Source]:
    """Recordings of the folder, each with its license where the manifest says one.

    Raises InputError like `folder.read`.
    """
    licenses = {
        relative(base / row.cells["path"], root): with_license(row.cells).get("license", "").strip()
        for row in manifest.rows(base / _MANIFEST, _COLUMNS)
        if not row.problem
    }
    return [
        replace(source, license=licenses.get(source.path, "")) for source in folder.read(root, base)
    ]


DEFINITION = Definition("bundled", find, read, needs=f"{_MANIFEST}, {', '.join(_PARTS)}", rank=89)
