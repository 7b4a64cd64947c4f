"""Artifacts of a run on this machine, copied into an object store for others to read.

kfp.local passes artifacts on as folders. On a cluster its launcher keeps them in the pipeline root.
"""

from pathlib import Path

from audiostyle import artifacts
from audiostyle.store import Store, open_store

# Outputs of the end-to-end pipeline that are artifacts of ours.
FORMATS = {
    "spectrograms": artifacts.SPECTROGRAM_SET,
    "classifier": artifacts.CLASSIFIER,
    "stylized": artifacts.STYLIZED_SET,
    "audio": artifacts.AUDIO_SET,
}


def target(uri: str) -> Store:
    """The store at a URI, once it has answered. Raises InputError or StoreUnavailableError."""
    store = open_store(uri)
    store.check()
    return store


def publish(folder: Path, format: str, store: Store) -> str:
    """Copy an artifact to FORMAT/DIGEST in a store, unless it is there; returns its URI.

    Its manifest is written last: there is a whole artifact, or none. A file is read whole.
    Raises ArtifactError where the folder holds no such artifact, or a damaged one.
    """
    opened = artifacts.opening(folder, format)
    place = f"{format.rpartition('/')[2]}/{opened.digest}"
    if store.size(f"{place}/{artifacts.MANIFEST}") is None:
        for name in (*opened.manifest.files, artifacts.MANIFEST):
            store.put(f"{place}/{name}", (folder / name).read_bytes())
    return f"{store.uri}/{place}"
