"""The spectrogram cache, in a folder and in a real SeaweedFS that fails in many ways."""

import contextlib
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import soundfile
import torch
from click.testing import CliRunner
from conftest import tone
from seaweedfs import BUCKET, SeaweedFS

from audiostyle.errors import InputError
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.spectrogram_set import Clip, Failure
from audiostyle.store import Store, StoreUnavailableError, open_store
from audiostyle.store.s3 import S3Store
from components.preprocess import cache as module
from components.preprocess.cache import SpectrogramCache, key_of, settings_digest
from components.preprocess.cutting import CutConfig
from components.preprocess.preprocess import PreprocessConfig, list_results, preprocess
from pipeline.cli import main

SMALL = SpectrogramConfig(clip_seconds=0.3)


@pytest.fixture(params=["file", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return (tmp_path / "cache").as_uri()
    request.getfixturevalue("seaweedfs")
    return f"s3://{BUCKET}/{tmp_path.name}"


def recordings(folder: Path, count: int, first: int = 0) -> list[Clip]:
    folder.mkdir(exist_ok=True)
    for number in range(first, first + count):
        soundfile.write(folder / f"{number}.wav", tone(100 + number, seconds=0.3), 22050)
    return [Clip(f"{n}.wav", "x", "train", str(n)) for n in range(first + count)]


def run(folder: Path, clips: list[Clip], cache: SpectrogramCache | None) -> list[torch.Tensor]:
    results = list(list_results(folder, clips, SMALL, cache=cache))
    assert not any(isinstance(result, Failure) for result in results)
    return [result[0][1] for result in results if not isinstance(result, Failure)]


def same(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return len(some) == len(others) and all(map(torch.equal, some, others))


def objects(uri: str) -> list[str]:
    return [entry.key for entry in open_store(uri).list()]


def test_the_second_run_computes_nothing_and_the_third_what_is_new(
    uri: str, tmp_path: Path
) -> None:
    clips = recordings(tmp_path / "d", 30)
    wanted = run(tmp_path / "d", clips, None)
    for hits, computed in ((0, 30), (30, 0)):
        cache = SpectrogramCache(uri)
        assert same(run(tmp_path / "d", clips, cache), wanted)
        assert (cache.counts.hits, cache.counts.computed) == (hits, computed)
    clips = recordings(tmp_path / "d", 10, first=30)
    cache = SpectrogramCache(uri)
    run(tmp_path / "d", clips, cache)
    assert (cache.counts.hits, cache.counts.computed) == (30, 10)
    assert len(objects(uri)) == 40


def test_names_do_not_matter_settings_do(tmp_path: Path) -> None:
    one = settings_digest(SMALL, CutConfig())
    others = [
        settings_digest(SMALL.model_copy(update={"hop_length": 256}), CutConfig()),
        settings_digest(SMALL, CutConfig(long="loudest")),
        settings_digest(SMALL, CutConfig(short="loop")),
        settings_digest(SMALL, CutConfig(long="windows")),
        settings_digest(SMALL, CutConfig(long="windows", hop_seconds=1)),
    ]
    assert len({one, *others}) == 6
    assert settings_digest(SMALL, CutConfig(hop_seconds=1)) == one
    clips = recordings(tmp_path / "d", 3)
    run(tmp_path / "d", clips, SpectrogramCache(tmp_path / "cache"))
    (tmp_path / "d").rename(tmp_path / "other")
    for clip in clips:
        (tmp_path / "other" / clip.path).rename(tmp_path / "other" / f"new{clip.path}")
    cache = SpectrogramCache(tmp_path / "cache")
    run(tmp_path / "other", [Clip(f"new{c.path}", "y", "test", "") for c in clips], cache)
    assert cache.counts.computed == 0


def damaged(store: Store, keys: list[str]) -> None:
    """Damage three objects in three ways, the fourth by putting another one in its place."""
    contents = [bytearray(store.get(key) or b"") for key in keys[:4]]
    contents[1][len(contents[1]) // 2] ^= 1
    changed = (contents[0][: len(contents[0]) // 2], contents[1], bytearray(b""), contents[0])
    for key, content in zip(keys[:4], changed, strict=True):
        store.put(key, bytes(content))


def test_damaged_objects_are_computed_again_and_replaced(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = recordings(tmp_path / "d", 8)
    wanted = run(tmp_path / "d", clips, SpectrogramCache(uri))
    keys = objects(uri)
    damaged(open_store(uri), keys)
    cache = SpectrogramCache(uri)
    with caplog.at_level(logging.WARNING):
        assert same(run(tmp_path / "d", clips, cache), wanted)
    assert (cache.counts.hits, cache.counts.computed, cache.counts.damaged) == (4, 4, 4)
    for key in keys[:4]:
        assert key in caplog.text
    for words in ("is cut short", "checksum is not", "is no spectrogram", "of another key"):
        assert words in caplog.text
    assert [reason for _, reason in module.verify(open_store(uri))] == [""] * 8
    again = SpectrogramCache(uri)
    assert same(run(tmp_path / "d", clips, again), wanted)
    assert again.counts.hits == 8


@pytest.mark.parametrize("bit", range(0, 8 * 400, 41))
def test_no_flipped_bit_of_the_header_passes(bit: int) -> None:
    key = key_of("0" * 64, "1" * 64)
    magnitude = torch.rand(1, 5, 3)
    content = bytearray(module.pack(key, magnitude))
    assert torch.equal(module.unpack(key, bytes(content)), magnitude)
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    # A flip may fall on what says nothing, a space; the numbers then are right.
    with contextlib.suppress(module.DamagedError):
        assert torch.equal(module.unpack(key, bytes(content)), magnitude)


def test_sixteen_writers_of_one_key(uri: str) -> None:
    start = threading.Barrier(16)
    key = key_of("0" * 64, "1" * 64)

    def write(number: int) -> torch.Tensor | None:
        cache = SpectrogramCache(uri)
        start.wait()
        cache.put(key, torch.full((1, 1025, 130), float(number)))
        return cache.get(key)[0]

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(write, range(16)))
    # All read the same, and all of it is of one writer.
    assert results[0] is not None and results[0].min() == results[0].max()
    assert all(other is not None and torch.equal(other, results[0]) for other in results)
    assert objects(uri) == [f"{key[:2]}/{key}.safetensors"]


@pytest.mark.slow
def test_a_server_that_is_stopped_and_started_in_the_middle(
    seaweedfs: SeaweedFS,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    clips = recordings(tmp_path / "d", 150)
    wanted = run(tmp_path / "d", clips, None)
    uri = f"s3://{BUCKET}/{tmp_path.name}"
    cache = SpectrogramCache(uri)
    results = list_results(tmp_path / "d", clips, SMALL, cache=cache)
    made = [next(results) for _ in range(5)]
    seaweedfs.stop()

    def restart() -> None:
        time.sleep(1)
        seaweedfs.start()

    starter = threading.Thread(target=restart)
    starter.start()
    try:
        made.extend(results)
    finally:
        starter.join()
    assert same([r[0][1] for r in made if not isinstance(r, Failure)], wanted)
    assert "without the cache" not in caplog.text
    # All that was written before and after is there, and whole.
    after = SpectrogramCache(uri)
    assert same(run(tmp_path / "d", clips, after), wanted)
    assert (after.counts.hits, after.counts.damaged) == (150, 0)


def test_a_server_that_stays_away(
    seaweedfs: SeaweedFS,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips = recordings(tmp_path / "d", 60)
    cache = SpectrogramCache(S3Store(BUCKET, tmp_path.name, attempts=2), patience=0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    gone = S3Store(BUCKET, tmp_path.name, attempts=2)
    cache.store = gone
    with caplog.at_level(logging.WARNING):
        assert same(run(tmp_path / "d", clips, cache), run(tmp_path / "d", clips, None))
    assert caplog.text.count("going on without the cache") == 1
    assert "no answer from http://127.0.0.1:1" in caplog.text
    # Not there from the start is another matter: the caller asked for it.
    with pytest.raises(StoreUnavailableError, match="no answer"):
        SpectrogramCache(gone)


@pytest.mark.parametrize(
    "changes, bucket, words",
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, BUCKET, "refuses these credentials"),
        ({}, "nowhere", "there is no bucket 'nowhere'"),
    ],
)
def test_a_cache_that_cannot_be_used_ends_the_stage_at_once(
    changes: dict[str, str],
    bucket: str,
    words: str,
    seaweedfs: SeaweedFS,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    config = PreprocessConfig(cache=f"s3://{bucket}/cache")
    with pytest.raises(InputError, match=rf"s3://{bucket}/cache: .*{words}"):
        preprocess(data, tmp_path / "set", config)
    assert not any(tmp_path.iterdir())


def test_the_commands(uri: str, tmp_path: Path) -> None:
    clips = recordings(tmp_path / "d", 5)
    run(tmp_path / "d", clips, SpectrogramCache(uri))
    store = open_store(uri)
    store.put("notes.txt", b"not of the cache")
    size = sum(e.size for e in store.list()) - 16

    def called(*arguments: str, code: int = 0) -> str:
        ended = CliRunner().invoke(main, ["cache", *arguments])
        assert ended.exit_code == code, ended.output
        return ended.output

    assert f"objects  5\nbytes    {size}\n" in called("stat", uri)
    assert called("verify", uri) == "5 good, 0 damaged\n"
    store.put(next(store.list()).key, b"")
    assert "is no spectrogram" in called("verify", uri, code=1)
    assert "4 good, 1 damaged, deleted" in called("verify", uri, "--delete")
    assert "deleted 0 objects" in called("prune", uri, "--older-than", "1")
    assert "deleted 2 objects" in called("prune", uri, "--max-gb", str(size / 2 / 1e9))
    assert "deleted 2 objects" in called("prune", uri, "--older-than", "0")
    assert "objects  0" in called("stat", uri)
    assert "give --older-than" in called("prune", uri, code=2)
    assert objects(uri) == ["notes.txt"]
