"""Recordings of pairs on this machine, for as long as the stage needs them."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audiostyle.recordings import Recordings, is_object, naming_objects
from audiostyle.work_folder import make_in
from components.stylize.pairs import Pair


@contextmanager
def fetched(pairs: Sequence[Pair], folder: Path) -> Iterator[list[Pair]]:
    """The pairs with every recording on this machine.

    What has to be fetched goes into a folder of its own in `folder`, and is removed at the end. An
    AudioError about a fetched file names the object.

    Raises InputError for an object that is missing, StoreUnavailableError where the store fails.
    """
    places = {place for pair in pairs for place in pair.recordings().values()}
    if not any(map(is_object, places)):
        yield list(pairs)
        return
    temporary = make_in(folder, lambda: tempfile.mkdtemp(prefix="recordings-", dir=folder))
    try:
        with Recordings(Path(temporary)) as recordings:
            local = recordings.local(places)
            with naming_objects({file: place for place, (file, _) in local.items()}):
                yield [
                    Pair(
                        pair.id,
                        **{role: local[where][0] for role, where in pair.recordings().items()},
                    )
                    for pair in pairs
                ]
    finally:
        with contextlib.suppress(OSError):  # what an interrupted run has finished is kept there
            folder.rmdir()
