"""From a folder or manifest to the clips in it, by the layout that it has."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.files import has_text_name
from audiostyle.manifest import is_manifest
from audiostyle.spectrogram_set import Clip
from components.preprocess import splits
from components.preprocess.datasets import folder, manifest
from components.preprocess.datasets.base import (
    UNREADABLE,
    Definition,
    Source,
    all_recordings,
    folders,
    holds_recordings,
    levels,
)
from components.preprocess.datasets.registry import definitions
from components.preprocess.extract import is_archive

AUTO = "auto"
# Folders with recordings that are not read, of which a line names as many.
_NAMED = 6


@dataclass(frozen=True)
class Listing:
    """The recordings of a data set. root: what their paths are relative to.

    base: where in it the data set begins.
    """

    definition: Definition
    root: Path
    base: Path
    sources: list[Source]


@dataclass(frozen=True)
class DataSet:
    """The clips of a data set. root: what their paths are relative to. notes: for the log."""

    root: Path
    layout: str
    clips: list[Clip]
    notes: tuple[str, ...]


def data_set(
    data: Path | str, *, seed: int, validation: float, test: float, layout: str = AUTO
) -> DataSet:
    """Look at a folder, or at a manifest, and list its clips with their splits.

    layout: the name of one, or `auto`. Raises InputError naming the folder and what is wrong.
    """
    data = Path(data)
    listing = sources_of(data, layout)
    clips = splits.clips(
        listing.sources,
        data,
        seed=seed,
        validation=validation,
        test=test,
        license=listing.definition.license,
    )
    if splits.is_random(listing.sources):
        splits.require_splits(clips, data, seed=seed, validation=validation, test=test)
    # A manifest that is named itself says what is to be read; its neighbors are none of it.
    notes = [listing.definition.warning]
    if data.is_dir():
        notes += [_not_read(listing), _other_manifest(listing)]
    name = listing.definition.name
    return DataSet(listing.root, name, clips, tuple(f"{name}: {note}" for note in notes if note))


def sources_of(data: Path, layout: str = AUTO) -> Listing:
    """The recordings of a folder or manifest as its data set describes them; see `data_set`."""
    known = definitions()
    if layout not in (AUTO, *(definition.name for definition in known)):
        names = ", ".join(definition.name for definition in known)
        raise InputError(f"layout: {layout!r} must be one of {AUTO}, {names}")
    if data.is_file() and is_manifest(data):
        root, definition, base = data.parent, manifest.DEFINITION, data
    elif not data.is_dir():
        raise InputError(f"data: {data} {'is not a folder' if data.exists() else 'does not exist'}")
    else:
        root = data
        definition, base = _recognized(data, layout, known)
    sources = definition.read(root, base)
    if not sources:
        raise InputError(f"data: {data} holds no recordings in the layout of {definition.name}")
    for source in sources:
        if not has_text_name(root / source.path):
            name = root / source.path
            raise InputError(f"data: {name}: has a name that is not UTF-8; rename it")
    return Listing(definition, root, base, sources)


def _recognized(data: Path, layout: str, known: tuple[Definition, ...]) -> tuple[Definition, Path]:
    for level in levels(data):
        for definition in known:
            if layout in (AUTO, definition.name) and (base := definition.find(level)):
                return definition, base
    if layout not in (AUTO, folder.DEFINITION.name):
        needs = next(definition.needs for definition in known if definition.name == layout)
        raise InputError(f"data: {data} does not look like {layout}: missing {needs}")
    raise InputError(f"data: {data} {_why_no_folder(data)}")


def _why_no_folder(data: Path) -> str:
    """What a folder lacks to be a data set in the plainest of layouts."""
    needs = "2 or more are needed, one sub-folder a class"
    for level in levels(data):
        if count := len({folder.label(path) for path, _ in folder.class_folders(level)}):
            return f"has {count} class folders with recordings; {needs}"
    inner = [path for level in levels(data) for path in folders(level) if holds_recordings(path)]
    if inner:
        names = ", ".join(path.relative_to(data).as_posix() for path in inner[:_NAMED])
        return (
            f"has 0 class folders with recordings; {needs}. There are recordings deeper in,"
            f" below {names}: give the folder that holds the classes"
        )
    archives = [p.name for level in levels(data) for p in sorted(level.iterdir()) if is_archive(p)]
    advice = (
        f". It holds archives ({', '.join(archives[:_NAMED])}): extract them" if archives else ""
    )
    return f"has 0 class folders with recordings; {needs}{advice}"


def _other_manifest(listing: Listing) -> str:
    """A manifest beside class folders, whose splits nobody reads."""
    if listing.definition is not folder.DEFINITION:
        return ""
    other = manifest.find(listing.base)
    advice = "is not read, as its neighbors are class folders; give it itself to read it"
    return f"{other.name} {advice}" if other else ""


def _not_read(listing: Listing) -> str:
    """What of the recordings in the folder the data set does not name."""
    read = {source.path for source in listing.sources}
    holding = {str(parent) for path in read for parent in Path(path).parents}
    counts: dict[str, Counter[str]] = {}
    for path in all_recordings(listing.root):
        inside = path.relative_to(listing.root)
        if inside.as_posix() in read:
            continue
        # The highest folder of which nothing is read, or the file's own.
        places = [str(parent) for parent in list(inside.parents)[::-1]]
        place = next((p for p in places if p not in holding), places[-1])
        counts.setdefault(place, Counter())[inside.suffix.lower()] += 1
    parts = [
        f"{place} ({', '.join(f'{n} {ending}' for ending, n in sorted(count.items()))})"
        for place, count in sorted(counts.items())
    ]
    if len(parts) > _NAMED:
        parts = [*parts[: _NAMED - 1], f"and {len(parts) - _NAMED + 1} more folders"]
    endings = sorted({e for count in counts.values() for e in count if e in UNREADABLE})
    advice = f"; convert {', '.join(endings)} to FLAC or WAV to have them read" if endings else ""
    return f"not read: {', '.join(parts)}{advice}" if parts else ""
