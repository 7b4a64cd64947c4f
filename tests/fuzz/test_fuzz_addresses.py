"""Random addresses of every printable character: what is put there is there, and nowhere else."""

import itertools
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from seaweedfs import BUCKET, SeaweedFS

from audiostyle import uris
from audiostyle.errors import InputError
from audiostyle.recordings import fetch
from audiostyle.store import Store, open_object, open_store

RUNS = 100
# What addresses, shells, globs and encodings know as signs of their own, more often than others.
_SIGNS = st.sampled_from(
    [*string.punctuation, " ", "%20", "%2F", "%", "#", "?", "..", "é", "e\u0301"]
)
_PRINTABLE = st.characters(
    exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp"), exclude_characters="/"
)
_PART = (
    st.lists(_SIGNS | _PRINTABLE, min_size=1, max_size=12)
    .map("".join)
    .filter(lambda part: "/" not in part and part not in (".", "..") and len(part.encode()) < 100)
)
_KEYS = st.lists(_PART, min_size=1, max_size=3).map("/".join)
_NUMBER = itertools.count()


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An address below which nothing is."""
    if request.param == "folder":
        yield str(tmp_path / "root")
    else:
        request.getfixturevalue("seaweedfs")
        yield f"s3://{BUCKET}/{tmp_path.name}"


def _round_trip(
    store: Store, key: str, content: bytes, target: Path, bucket: Store | None = None
) -> None:
    """Put, list, read in each way, delete; the store is empty before and after.

    bucket: the whole of it, where the store is in one.
    """
    assert store.put(key, content, absent=True)
    assert not store.put(key, b"other", absent=True)
    address = f"{store.uri}/{key}"
    assert [(entry.key, entry.size) for entry in store.list()] == [(key, len(content))]
    assert [entry.key for entry in store.list(key)] == [key]
    assert store.get(key) == content
    assert store.size(key) == len(content)
    with store.open(key, 1) as stream:
        assert b"".join(stream.chunks) == content[1:]
    if bucket is not None:
        parent, name = uris.split_object(address)
        assert parent == bucket.uri
        assert bucket.get(name) == content
        fetch(address, target, bucket)
        assert target.read_bytes() == content
        target.unlink()
        assert uris.beside_s3(address, "x") == f"{address.rpartition('/')[0]}/x"
    else:
        with open_object(Path(address).as_uri()) as stream:
            assert b"".join(stream.chunks) == content
    # Neighbors that a sloppy splitter would take for the same.
    for other in {key.partition("#")[0], key.partition("?")[0], key.replace("%", "%25")} - {key}:
        if not {"", ".", ".."} & set(other.split("/")):
            assert store.get(other) is None
    store.delete(key)
    assert store.get(key) is None
    assert list(store.list()) == []


def _bucket(root: str) -> Store | None:
    return open_store(f"s3://{BUCKET}") if root.startswith("s3:") else None


@pytest.mark.slow
def test_addresses_round_trip_to_the_letter(root: str, tmp_path: Path) -> None:
    # boto3's clients take longer to make than all requests of a run.
    base, bucket = open_store(root), _bucket(root)

    @settings(
        max_examples=RUNS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(prefix=_KEYS, key=_KEYS)
    def run(prefix: str, key: str) -> None:
        if bucket:
            # SeaweedFS, but not S3, takes a backslash for a slash.
            prefix, key = prefix.replace("\\", "|"), key.replace("\\", "|")
        number = next(_NUMBER)
        store = base.below(f"{number}/{prefix}")
        address = f"{root}/{number}/{prefix}"
        assert store.uri == address
        _round_trip(store, key, f"{number} {key}".encode(), tmp_path / "fetched", bucket)
        if not bucket or number % 20 == 0:
            # Of two ways to the same place, both lead there.
            same = open_store(address)
            assert same.uri == address
            same.put(key, b"1")
            assert store.get(key) == b"1"
            store.delete(key)

    run()


def test_every_printable_sign_of_ascii(root: str, tmp_path: Path) -> None:
    base, bucket = open_store(root), _bucket(root)
    signs = sorted({*string.printable[:95]} - {"/", "\\"})
    for number in range(0, len(signs), 8):
        some = "".join(signs[number : number + 8])
        store = base.below(f"p{some}q")
        _round_trip(store, f"a{some}b{some}", b"ab", tmp_path / "fetched", bucket)


@pytest.mark.parametrize("key", ["", ".", "..", "a/../b", "a/./b", "../a", "a/.."])
def test_keys_that_lead_elsewhere_are_refused(root: str, key: str) -> None:
    store = open_store(root)
    acts = (store.get, store.size, store.tag, store.delete, lambda k: store.put(k, b""))
    for act in acts:
        with pytest.raises(InputError, match="key "):
            act(key)


def test_prefixes_that_differ_in_a_slash_are_two(seaweedfs: SeaweedFS) -> None:
    assert uris.split_s3("s3://bucket/a//b/") == ("bucket", "a//b/")
    once, twice = open_store(f"s3://{BUCKET}/slash/"), open_store(f"s3://{BUCKET}/slash")
    assert once.uri == twice.uri == f"s3://{BUCKET}/slash"
    assert open_store(f"s3://{BUCKET}/slash//").uri == f"s3://{BUCKET}/slash/"


def test_two_jobs_whose_addresses_differ_behind_a_hash_are_two(seaweedfs: SeaweedFS) -> None:
    from pipeline.bulk.ledger import Ledger

    ledgers = [
        Ledger(f"s3://{BUCKET}/res/{name}") for name in ("take#1", "take#2", "take", "take?x")
    ]
    for number, ledger in enumerate(ledgers):
        ledger.store.put("song.wav", bytes([number]))
        ledger.state.put("lock", bytes([number]))
    for number, ledger in enumerate(ledgers):
        assert ledger.store.get("song.wav") == bytes([number])
        assert ledger.state.get("lock") == bytes([number])
        assert ledger.state.uri == f"{ledger.store.uri}/.audiostyle"
    keys = [entry.key for entry in open_store(f"s3://{BUCKET}/res").list()]
    assert len(keys) == 2 * len(ledgers)
