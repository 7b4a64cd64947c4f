"""Object stores: a folder and a real SeaweedFS behave alike, and say what is wrong."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from seaweedfs import BUCKET, SeaweedFS

from audiostyle.errors import InputError
from audiostyle.store import FolderStore, Store, StoreUnavailableError, open_store
from audiostyle.store.s3 import S3Store


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "file":
        return open_store((tmp_path / "a store").as_uri())
    request.getfixturevalue("seaweedfs")
    return open_store(f"s3://{BUCKET}/{tmp_path.name}")


def test_objects_come_back(store: Store) -> None:
    store.check()
    assert store.get("a/b") is None
    assert store.size("a/b") is None
    assert list(store.list()) == []
    assert store.put("a/b", b"first")
    assert store.put("a/b", b"second")
    assert not store.put("a/b", b"third", absent=True)
    assert store.get("a/b") == b"second"
    assert store.size("a/b") == 6
    assert store.put("a/c", b"", absent=True)
    assert store.put("z", b"1")
    assert [(e.key, e.size) for e in store.list()] == [("a/b", 6), ("a/c", 0), ("z", 1)]
    assert [e.key for e in store.list("a/")] == ["a/b", "a/c"]
    assert all(e.modified > 1e9 for e in store.list())
    store.delete("a/b")
    store.delete("a/b")
    assert store.get("a/b") is None


def test_reading_from_any_byte(store: Store) -> None:
    content = bytes(range(256)) * 20000
    store.put("long", content)
    for start in (0, 1, 3_000_001, len(content) - 1, len(content)):
        with store.open("long", start) as stream:
            assert stream.total == len(content)
            assert b"".join(stream.chunks) == content[start:]
    with pytest.raises(InputError, match=r"missing.*does not exist"), store.open("missing"):
        pass


def test_sixteen_writers_leave_one_whole_object(store: Store) -> None:
    start = threading.Barrier(16)
    contents = [bytes([i]) * 500_000 for i in range(16)]

    def write(content: bytes) -> bool:
        start.wait()
        return store.put("one", content, absent=True)

    with ThreadPoolExecutor(16) as pool:
        written = list(pool.map(write, contents))
    assert sum(written) == 1
    assert store.get("one") == contents[written.index(True)]
    assert [e.key for e in store.list()] == ["one"]


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x"])
def test_keys_stay_inside(key: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no relative path"):
        FolderStore(tmp_path).put(key, b"")


@pytest.mark.parametrize(
    "uri, words",
    [("s3://", "no bucket"), ("file://host/x", "names a host"), ("ftp://h/x", "is no store")],
)
def test_uris_that_are_no_store(uri: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        open_store(uri)
    assert uri in str(caught.value)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(InputError, match="x: is no folder"):
        open_store(tmp_path / "x").check()


def test_missing_bucket(seaweedfs: SeaweedFS) -> None:
    store = open_store("s3://nowhere/data")
    for call in (store.check, lambda: store.get("k"), lambda: list(store.list())):
        with pytest.raises(InputError, match=r"s3://nowhere/data.*no bucket 'nowhere'"):
            call()


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(
    name: str,
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, "wrong")
    store = open_store(f"s3://{BUCKET}/data")
    for call in (store.check, lambda: store.get("k"), lambda: store.put("k", b"")):
        with pytest.raises(InputError, match=rf"s3://{BUCKET}/data.*refuses these credentials"):
            call()


def test_no_credentials(
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(InputError, match="no credentials"):
        open_store(f"s3://{BUCKET}").check()


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    with pytest.raises(StoreUnavailableError, match=r"s3://b/p.*no answer from http://127.0.0.1:1"):
        S3Store("b", "p", attempts=2).check()
