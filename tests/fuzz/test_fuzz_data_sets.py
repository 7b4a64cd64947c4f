"""Data sets as people have them: whatever names, formats and wrappings, all is read or named."""

import csv
import io
import json
import tarfile
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile
import yaml
from conftest import tone
from fuzzing import TAR_MODES, Outcome, Warm, attempt, place
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from small import small, warm  # noqa: F401, fixtures
from warm import SETTINGS

RUNS = 200
ENDINGS = ("wav", "WAV", "flac", "ogg", "mp3", "au", "aiff", "caf", "w64", "opus")
SPLITS = {
    "train": ("train", "Train", "training"),
    "validation": ("validation", "val", "valid", "dev", "VAL"),
    "test": ("test", "Test", "testing"),
}
ODD = (
    *("a b", "ä", "a\u0308", "a'b", 'a"b', "a,b", "a;b", "#1", "a%20b", "a?b", "*", "-rf", "[x]"),
    *(
        "a\\b",
        "a\tb",
        "a\nb",
        "con",
        "😀",
        "__x__",
        "a:b",
        "b ",
        " b",
        "~",
        "$HOME",
        "x.wav",
        "008",
    ),
    *("yes", "null", "1e3", "= 1", "\u202ea", "a" * 60, "{x}", "&a", "!b", "- c", "# d", "'", '"'),
)
NOT_READ = {"notes.txt": b"x", "cover.png": b"x", ".DS_Store": b"x", "._a.wav": b"\0\5\x16\7"}


@dataclass(frozen=True)
class Situation:
    """A data set. labels: of its classes. files: per class and split, of which formats."""

    labels: tuple[str, ...]
    names: tuple[str, ...]
    endings: tuple[str, ...]
    layout: str
    splits: tuple[str, str, str] | None
    wrapping: str
    package: str
    extra: tuple[str, ...]


def _names() -> st.SearchStrategy[str]:
    letters = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), max_size=12
    )
    return st.one_of(st.sampled_from(ODD), letters).filter(_is_name)


def _is_name(name: str) -> bool:
    return bool(name.strip()) and not name.startswith(".") and len(name.encode()) < 100


def _plain(label: str) -> str:
    return unicodedata.normalize("NFC", label).strip()


def _situations() -> st.SearchStrategy[Situation]:
    known = {name.casefold() for names in SPLITS.values() for name in names}
    labels = st.lists(
        _names().filter(lambda name: name.casefold() not in known),
        min_size=2,
        max_size=3,
        unique_by=lambda name: _plain(name).casefold(),
    ).map(tuple)
    splits = st.tuples(*(st.sampled_from(names) for names in SPLITS.values()))
    return st.builds(
        Situation,
        labels,
        st.lists(_names(), min_size=1, max_size=3, unique_by=str.casefold).map(tuple),
        st.lists(st.sampled_from(ENDINGS), min_size=1, max_size=3).map(tuple),
        st.sampled_from(["folder", "folder", "csv", "jsonl", "yaml"]),
        st.one_of(st.none(), splits),
        st.sampled_from(["", "mydata/", "one/two/", "mac", "docs", "ä b/"]),
        st.sampled_from(["folder", "zip", "tar", "tar.gz", "tar.xz"]),
        st.lists(
            st.sampled_from(["broken", "m4a", "loose", "deep", "neighbor", *NOT_READ]),
            max_size=3,
            unique=True,
        ).map(tuple),
    )


def _tree(case: Situation, sounds: dict[str, bytes]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Files of the data set by path, and label/split of those that are to be read."""
    base = {"mac": "mydata/", "docs": "mydata/"}.get(case.wrapping, case.wrapping)
    files: dict[str, bytes] = {}
    expected: dict[str, str] = {}
    rows = []
    clips = "" if case.layout == "folder" else "clips/"
    for part, split in enumerate(case.splits or ("",)):
        for label in case.labels:
            for number, name in enumerate(case.names):
                ending = case.endings[number % len(case.endings)]
                folder = f"{split}/" if split else ""
                path = f"{clips}{folder}{label}/{name}.{ending}"
                files[base + path] = sounds[ending]
                split_of = tuple(SPLITS)[part] if split else "train"
                expected[base + path] = (
                    f"{_plain(label) if clips else unicodedata.normalize('NFC', label)}|{split_of}"
                )
                rows.append({"path": path, "label": label, "split": split_of if split else ""})
    if clips:
        files[f"{base}manifest.{case.layout}"] = _table(case.layout, rows).encode()
    first = f"{base}{clips}{case.splits[0] + '/' if case.splits else ''}{case.labels[0]}/"
    extra = {
        "broken": (f"{first}zz broken.wav", b"RIFF"),
        "m4a": (f"{first}zz.m4a", b"x"),
        "loose": (f"{base}zz loose.wav", sounds["wav"]),
        "deep": (f"{first}deeper/zz.flac", sounds["flac"]),
        "neighbor": (f"{base}zz neighbor/sub/zz.ogg", sounds["ogg"]),
        **{name: (f"{first}{name}", content) for name, content in NOT_READ.items()},
    }
    files |= {extra[name][0]: extra[name][1] for name in case.extra}
    if case.wrapping == "mac":
        files |= {f"__MACOSX/{path}.wav": b"\0\5\x16\7" for path in list(files)[:2]}
    if case.wrapping == "docs":
        files["docs/license.txt"] = b"x"
    return files, expected


def _table(form: str, rows: list[dict[str, str]]) -> str:
    if form == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        return "\ufeff" + text.getvalue()
    if form == "jsonl":
        return "\n\n".join(json.dumps(row, ensure_ascii=len(rows) % 2 == 0) for row in rows)
    # YAML takes other signs than line feeds for ends of lines.
    plain = all(cell.isprintable() for row in rows for cell in row.values())
    return str(yaml.safe_dump(rows, allow_unicode=plain))


def _write(package: str, files: dict[str, bytes], folder: Path) -> str:
    if package == "folder":
        for name, content in files.items():
            (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "data" / name).write_bytes(content)
        return "data"
    path = folder / f"data.{package}"
    if package == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                info = zipfile.ZipInfo("x")
                info.filename = name
                archive.writestr(info, content)
        return path.name
    with tarfile.open(path, TAR_MODES[package.removeprefix("tar").removeprefix(".")]) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path.name


@pytest.fixture(scope="module")
def sounds() -> dict[str, bytes]:
    content = {}
    for ending in ENDINGS:
        file = io.BytesIO()
        opus = ending == "opus"
        form = "OGG" if opus else ending.upper()
        samples = tone(400, seconds=0.3, rate=48000 if opus else 22050)
        soundfile.write(
            file, samples, 48000 if opus else 22050, "OPUS" if opus else None, format=form
        )
        content[ending] = file.getvalue()
    return content


def _check(
    case: Situation, done: Outcome, folder: Path, files: dict[str, bytes], expected: dict[str, str]
) -> None:
    rows = [json.loads(r) for r in (folder / "out/clips.jsonl").read_text().split("\n") if r]
    failed = [json.loads(r) for r in (folder / "out/failures.jsonl").read_text().split("\n") if r]
    read = {row["path"]: f"{row['label']}|{row['split']}" for row in rows}
    assert read == expected, done.err
    failures = {row["path"] for row in failed}
    for path in files.keys() - read.keys() - failures:
        name = path.rpartition("/")[2]
        ending = name.rpartition(".")[2].lower()
        if (
            name.startswith(".")
            or path.startswith("__MACOSX")
            or ending in ("txt", "png", case.layout)
        ):
            continue
        notes = [line for line in done.err.splitlines() if "not read" in line]
        assert notes and f" .{ending}" in notes[0], f"{path}: {done.err}"


@pytest.mark.slow
def test_situations(warm: Warm, sounds: dict[str, bytes]) -> None:
    """No source changes, nothing is written beside the output, what went in is read or named."""
    count = 0

    @settings(
        max_examples=RUNS,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(_situations())
    def one(case: Situation) -> None:
        nonlocal count
        files, expected = _tree(case, sounds)
        with place() as folder:
            data = _write(case.package, files, folder)
            read = ("--data", data, "--out", "out", *SETTINGS, "--max-failures", 0.9)
            done = attempt(warm, folder, "preprocess", *read, out="out")
            assert done.code == 0, f"{case}: {done.err}"
            _check(case, done, folder, files, expected)
        count += 1

    one()
    assert count >= 150
