"""A job replaces nothing that goes into it: refused before anything is written, however it lies."""

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from bulk_jobs import arguments, bulk, counts, results, write_csv
from seaweedfs import BUCKET, SeaweedFS

from audiostyle.store import Store, open_store


def state(root: Path) -> dict[str, str]:
    """All that lies below a folder: links by where they lead, files by content."""
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def files(root: Path) -> dict[str, str]:
    """`state` without locks, which each call writes."""
    return {name: digest for name, digest in state(root).items() if "/lock-" not in name}


Row = dict[str, str]


@pytest.fixture
def songs(clips: Path, tmp_path: Path) -> Path:
    """A folder with `song1.wav`, `song2.wav` and `style.wav`."""
    folder = tmp_path / "songs"
    folder.mkdir()
    for name, source in (("song1", "c1"), ("song2", "c2"), ("style", "s1")):
        shutil.copy(clips / f"{source}.wav", folder / f"{name}.wav")
    return folder


def _content(songs: Path) -> tuple[list[Row], Path]:
    return [{"id": "song1", "content": "song1.wav", "style": "style.wav"}], songs


def _style_of_another(songs: Path) -> tuple[list[Row], Path]:
    return [
        {"id": "style", "content": "song1.wav", "style": "song2.wav"},
        {"id": "b", "content": "song2.wav", "style": "style.wav"},
    ], songs


def _target(songs: Path) -> tuple[list[Row], Path]:
    row = {"id": "song2", "content": "song1.wav", "style": "style.wav", "target": "song2.wav"}
    return [row], songs


def _dots(songs: Path) -> tuple[list[Row], Path]:
    rows = [{"id": "song1", "content": "../songs/./song1.wav", "style": "style.wav"}]
    return rows, songs / ".." / "songs"


def _folder_by_link(songs: Path) -> tuple[list[Row], Path]:
    (songs.parent / "link").symlink_to(songs)
    return [{"id": "song1", "content": "song1.wav", "style": "style.wav"}], songs.parent / "link"


def _recording_by_link(songs: Path) -> tuple[list[Row], Path]:
    (songs / "other.wav").symlink_to("song1.wav")
    return [{"id": "song1", "content": "other.wav", "style": "style.wav"}], songs


def _output_is_a_link(songs: Path) -> tuple[list[Row], Path]:
    out = songs.parent / "out"
    out.mkdir()
    (out / "a.wav").symlink_to(songs / "song1.wav")
    return [{"id": "a", "content": "song1.wav", "style": "style.wav"}], out


def _output_is_a_hard_link(songs: Path) -> tuple[list[Row], Path]:
    out = songs.parent / "out"
    out.mkdir()
    (out / "a.wav").hardlink_to(songs / "style.wav")
    return [{"id": "a", "content": "song1.wav", "style": "style.wav"}], out


def _by_address(songs: Path) -> tuple[list[Row], Path]:
    return [{"id": "song1", "content": (songs / "song1.wav").as_uri(), "style": "style.wav"}], songs


def _flac(songs: Path) -> tuple[list[Row], Path]:
    (songs / "song1.wav").rename(songs / "song1.flac")  # what it holds, nobody has heard yet
    row = {"id": "song1", "content": "song1.flac", "style": "style.wav", "format": "flac"}
    return [row], songs


def _a_page(songs: Path) -> tuple[list[Row], Path]:
    (songs / "song1.wav").rename(songs / "report.html")
    return [{"id": "a", "content": "report.html", "style": "style.wav"}], songs


def _in_the_state(songs: Path) -> tuple[list[Row], Path]:
    (songs / ".audiostyle").mkdir()
    (songs / "song1.wav").rename(songs / ".audiostyle" / "song1.wav")
    return [{"id": "a", "content": ".audiostyle/song1.wav", "style": "style.wav"}], songs


@pytest.mark.parametrize(
    "case",
    [
        _content,
        _style_of_another,
        _target,
        _dots,
        _folder_by_link,
        _recording_by_link,
        _output_is_a_link,
        _output_is_a_hard_link,
        _by_address,
        _flac,
        _a_page,
        _in_the_state,
    ],
)
def test_outputs_that_would_replace_recordings(
    case: Callable[[Path], tuple[list[Row], Path]], songs: Path, classifier: Path, clips: Path
) -> None:
    rows, out = case(songs)
    manifest = write_csv(songs / "pairs.csv", rows)
    before = state(songs.parent)
    for more in ((), ("--dry-run",), ("--shard", "0/2")):
        result = bulk(*arguments(manifest, out, classifier, clips, *more))
        assert result.exit_code == 2, result.output
        assert f"line 2: {rows[0]['id']}: " in result.stderr or f": {rows[1]['id']}: " in (
            result.stderr
        )
        assert state(songs.parent) == before


def test_every_content_into_its_own_folder(songs: Path, classifier: Path, clips: Path) -> None:
    """By patterns, ids are CONTENT--STYLE: a second call would take results for contents."""
    shutil.copy(songs / "song1.wav", songs / "song1--style.wav")
    before = state(songs)
    given = ("stylize", "--contents", f"{songs}/song1*.wav", "--styles", f"{songs}/style.wav")
    result = bulk(*given, "--out", songs, "--model", classifier)
    assert result.exit_code == 2
    assert "song1--style: its content" not in result.stderr.split("\n")[0]
    assert "would be replaced by the output" in result.stderr
    assert state(songs) == before


@pytest.mark.parametrize("name", ["results.jsonl", "results-0-of-2.jsonl", ".audiostyle/m.csv"])
def test_a_manifest_where_the_job_writes(
    name: str, songs: Path, classifier: Path, clips: Path
) -> None:
    row = {"id": "a", "content": f"{songs}/song1.wav", "style": f"{songs}/style.wav"}
    manifest = songs / name
    manifest.parent.mkdir(exist_ok=True)
    write_csv(manifest, [row])
    if name.endswith("jsonl"):
        manifest.write_text(json.dumps(row) + "\n")
    before = state(songs)
    result = bulk(*arguments(manifest, songs, classifier, clips))
    assert result.exit_code == 2
    assert str(manifest) in result.stderr
    assert state(songs) == before


def test_the_folder_of_the_model(songs: Path, classifier: Path, clips: Path) -> None:
    model = shutil.copytree(classifier, songs.parent / "model")
    rows = [{"id": "a", "content": f"{songs}/song1.wav", "style": f"{songs}/style.wav"}]
    manifest = write_csv(songs / "pairs.csv", rows)
    before = state(songs.parent)
    for out in (model, model / "results"):
        result = bulk(*arguments(manifest, out, model, clips))
        assert result.exit_code == 2
        assert "folder of the model" in result.stderr
        assert state(songs.parent) == before


def test_outputs_that_cannot_be_written(songs: Path, classifier: Path, clips: Path) -> None:
    rows = [{"id": "a", "content": f"{songs}/song1.wav", "style": f"{songs}/style.wav"}]
    manifest = write_csv(songs / "pairs.csv", rows)
    (songs / "out" / "a.wav").mkdir(parents=True)
    before = state(songs)
    for out, words in ((songs / "out", "is a folder"), (songs / "song1.wav", "is not a folder")):
        result = bulk(*arguments(manifest, out, "no such model", clips))
        assert result.exit_code == 2
        assert words in result.stderr
    assert state(songs) == before


@pytest.mark.slow
@pytest.mark.usefixtures("warm_workers")
def test_results_beside_recordings_are_fine(songs: Path, classifier: Path, clips: Path) -> None:
    """Nothing is refused where nothing would be replaced, and nothing of the job's inputs goes."""
    rows = [{"id": "a", "content": "song1.wav", "style": "style.wav", "format": "flac"}]
    given = arguments(write_csv(songs / "m.csv", rows), songs, classifier, clips)
    before = state(songs)
    assert counts(bulk(*given)) == (0, 1, 0)
    # Now the result is a content, and the item's new output has another name.
    rows = [{"id": "a", "content": "a.flac", "style": "style.wav", "format": "wav"}]
    content = (songs / "a.flac").read_bytes()
    given = arguments(write_csv(songs / "m.csv", rows), songs, classifier, clips)
    assert counts(bulk(*given)) == (0, 1, 0)
    assert (songs / "a.flac").read_bytes() == content
    assert results(songs)["a"]["output"] == "a.wav"
    after = state(songs)
    assert {name: after[name] for name in before if name != "m.csv"} == {
        name: digest for name, digest in before.items() if name != "m.csv"
    }


@pytest.mark.slow
@pytest.mark.usefixtures("warm_workers")
@pytest.mark.parametrize("out", ["results", "."])
def test_a_pattern_that_reaches_into_its_outputs_leaves_them_out(
    out: str, songs: Path, classifier: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second call took results, and the page's copies of recordings, for contents."""
    monkeypatch.chdir(songs)
    (songs / "inner").mkdir()
    (songs / "song2.wav").rename(songs / "inner" / "song2.wav")
    given: list[object] = ["stylize", "--contents", "**/song*.wav", "--styles", "style*.wav"]
    given += ["--out", out, "--model", classifier, "--config", clips / "fast.yaml"]
    given += ["--workers", 1, "--report", 2]
    assert counts(bulk(*given)) == (0, 2, 0)
    assert sorted(results(songs / out)) == ["song1--style", "song2--style"]
    before = files(songs)
    assert counts(bulk(*given)) == (2, 0, 0)
    assert files(songs) == before
    # A recording that somebody puts there is one.
    shutil.copy(clips / "c3.wav", songs / out / "song3.wav")
    assert counts(bulk(*given)) == (2, 1, 0)
    nothing = bulk(*[f"{out}/*--*.wav" if word == "**/song*.wav" else word for word in given])
    assert nothing.exit_code == 2 and "nothing but results of this job" in nothing.stderr


def _in_bucket(store: Store) -> dict[str, str | None]:
    return {entry.key: store.tag(entry.key) for entry in store.list()}


@pytest.mark.slow
@pytest.mark.usefixtures("warm_workers")
@pytest.mark.parametrize(
    "content, out",
    [
        ("song1.wav", "songs"),
        (f"s3://{BUCKET}/kept/songs/song1.wav", "songs/"),
        ("../songs//song1.wav", "songs"),
        ("song1.wav", "songs/../songs"),
        ("results.jsonl", "songs"),
    ],
)
def test_objects_are_not_replaced_either(
    content: str, out: str, songs: Path, classifier: Path, clips: Path, seaweedfs: SeaweedFS
) -> None:
    store = open_store(f"s3://{BUCKET}/kept")
    for name in ("song1.wav", "style.wav"):
        store.put_file(f"songs/{name}", songs / name)
    store.put_file("songs/results.jsonl", songs / "song1.wav")
    manifest = f"id,content,style\nsong1,{content},style.wav\n"
    store.put("songs/pairs.csv", manifest.encode())
    before = _in_bucket(store)
    workspace = songs.parent / "workspace"
    result = bulk(
        *arguments(f"{store.uri}/songs/pairs.csv", f"{store.uri}/{out}", classifier, clips),
        *("--workspace", workspace),
    )
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert _in_bucket(store) == before
    assert not workspace.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("warm_workers")
def test_patterns_take_recordings_alone(
    songs: Path, classifier: Path, clips: Path, seaweedfs: SeaweedFS, recwarn: object
) -> None:
    store = open_store(f"s3://{BUCKET}/names")
    for name in ("a.wav", "._a.wav", ".DS_Store", "[b].wav", "x/c.wav", "x/.hidden/d.wav"):
        store.put_file(f"in/{name}", songs / "song1.wav")
    store.put("in/x/", b"")
    from pipeline.bulk.globs import matching

    def names(pattern: str) -> list[str]:
        return [place.removeprefix(f"{store.uri}/in/") for place in matching(pattern)]

    assert names(f"{store.uri}/in/*") == ["[b].wav", "a.wav"]
    assert names(f"{store.uri}/in/**") == ["[b].wav", "a.wav", "x/c.wav"]
    assert names(f"{store.uri}/in/**/*.wav") == ["[b].wav", "a.wav", "x/c.wav"]
    assert names(f"{store.uri}/in/[[]b].wav") == ["[b].wav"]
    assert names(f"{store.uri}/in/.*") == [".DS_Store", "._a.wav"]
    assert not [w for w in recwarn if "FutureWarning" in str(w.category)]  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.usefixtures("warm_workers")
def test_names_that_files_may_have(clips: Path, classifier: Path, tmp_path: Path) -> None:
    """A tab, a line break, bytes that are no text: each is taken, and none refuses the others."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"a\tb.wav", b"a\nb.wav", b"\xff\xfe.wav", "ü é.wav".encode(), b"plain.wav"):
        shutil.copy(clips / "c1.wav", folder / os.fsdecode(name))
    given: list[object] = ["stylize", "--contents", f"{folder}/*.wav"]
    given += [
        "--styles",
        f"{clips}/s1.wav",
        "--out",
        tmp_path / "out",
        "--model",
        classifier,
        "--config",
        clips / "fast.yaml",
    ]
    done = bulk(*given, "--workers", 1, "--report", 9)
    _, now, aside = counts(done)
    assert (now + aside, aside) in ((5, 0), (5, 1)), done.output
    # libsndfile takes no name that is not UTF-8: it is named, and all others are done.
    assert ("udcff" in done.stderr) == bool(aside)
    assert (tmp_path / "out" / "report.html").exists()
    assert counts(bulk(*given, "--workers", 1))[:2] == (now, 0)
