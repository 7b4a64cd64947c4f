"""What a run's inputs are known by: hashes that change when what is read does, and only then."""

from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.recordings import is_object
from audiostyle.store import open_store
from audiostyle.uris import split_object
from components.preprocess.config import PreprocessConfig
from components.preprocess.data_set import data_set
from components.preprocess.data_version import data_version, version_of
from components.preprocess.extract import is_archive
from components.preprocess.fetch import named
from components.stylize.pairs import read_pairs


def of_data(data: Path, config: PreprocessConfig, name: str = "") -> str:
    """SHA-256 over what preprocess reads of a data set: its recordings, and not their neighbors.

    name: what errors call the data, where a person calls it something else.
    Raises InputError where it is no data set, or its splits are of no use.
    """
    with named(data, name or str(data)):
        if not is_archive(data):
            data_set(
                data,
                seed=config.seed,
                validation=config.validation,
                test=config.test,
                layout=config.layout,
            )
        return data_version(data, config.layout)


def of_pairs(manifest: Path) -> str:
    """SHA-256 over a manifest of pairs and the recordings that it names; of objects, their tags.

    Raises InputError for a manifest that cannot be used, and for a file that is not there: it would
    be missed when the classifier has been trained.
    """
    rows = [
        ([pair.id, role, Path(place).name], place)
        for pair in read_pairs(manifest)
        for role, place in pair.recordings().items()
    ]
    for _, place in rows:
        if not is_object(place) and not Path(place).is_file():
            there = Path(place).exists()
            raise InputError(f"{place}: {'is not a file' if there else 'does not exist'}")
    objects = [[*said, str(place), _tag(str(place))] for said, place in rows if is_object(place)]
    return version_of(objects, [(said, Path(p)) for said, p in rows if not is_object(p)])


def _tag(uri: str) -> str:
    store, key = split_object(uri)
    return open_store(store).tag(key) or ""
