"""Recordings from an object store: fetched once each, for as long as the stage needs them."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audiostyle.store import open_store
from components.stylize.pairs import Pair


@contextmanager
def fetched(pairs: Sequence[Pair], folder: Path) -> Iterator[list[Pair]]:
    """The pairs with every recording on this machine.

    What has to be fetched goes into a folder of its own in `folder`, and is removed at the end.

    Raises InputError for an object that is missing, StoreUnavailableError where the store fails.
    """
    places = [place for pair in pairs for place in pair.recordings().values()]
    if all(isinstance(place, Path) for place in places):
        yield list(pairs)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="recordings-", dir=folder) as temporary:
        known: dict[str, Path] = {}

        def local(place: Path | str) -> Path:
            if isinstance(place, Path):
                return place
            if place not in known:
                # A folder each: objects of one name from several places keep that name.
                target = Path(temporary) / str(len(known)) / place.rpartition("/")[2]
                target.parent.mkdir()
                fetch(place, target)
                known[place] = target
            return known[place]

        yield [
            Pair(pair.id, **{role: local(place) for role, place in pair.recordings().items()})
            for pair in pairs
        ]


def fetch(uri: str, target: Path) -> None:
    """Copy an object to a file, in pieces."""
    parent, _, name = uri.rpartition("/")
    with open_store(parent).open(name) as stream, target.open("wb") as file:
        for chunk in stream.chunks:
            file.write(chunk)
