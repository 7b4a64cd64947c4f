"""Every recording of a data set is read, or named; folders, wrappings, endings as people have."""

import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner
from conftest import RATE, tone

from audiostyle import spectrogram_set
from audiostyle.errors import InputError
from audiostyle.spectrogram_set import Clip
from components.preprocess.__main__ import main as stage
from components.preprocess.config import PreprocessConfig
from components.preprocess.preprocess import preprocess
from pipeline.cli import main

QUICK = {"spectrogram": {"n_fft": 256, "hop_length": 128, "clip_seconds": 0.25}}
ALL_TRAIN = {**QUICK, "validation": 0, "test": 0}


def sound(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {".opus": "OGG", ".oga": "OGG", ".aifc": "AIFF"}.get(path.suffix.lower())
    rate = 48000 if path.suffix == ".opus" else RATE
    subtype = "OPUS" if path.suffix == ".opus" else None
    with path.open("wb") as file:
        name = form or {"wave": "WAV", "snd": "AU"}.get(path.suffix[1:], path.suffix[1:].upper())
        soundfile.write(file, tone(300 + number, seconds=0.3), rate, subtype, format=name)


def classes(root: Path, count: int = 2, ending: str = "wav") -> None:
    for label in ("low", "high"):
        for number in range(count):
            sound(root / label / f"{label}{number}.{ending}", number)


def read(data: Path, out: Path, settings: dict[str, object] = ALL_TRAIN) -> tuple[Clip, ...]:
    preprocess(data, out, PreprocessConfig.parse(settings, "test"))
    return spectrogram_set.read(out).clips


@pytest.mark.parametrize(
    "train, validation, test",
    [
        ("train", "val", "test"),
        ("train", "valid", "test"),
        ("training", "dev", "testing"),
        ("Train", "Val", "TEST"),
        ("train", "Validation", "Test"),
    ],
)
def test_splits_by_any_of_their_names(
    train: str, validation: str, test: str, tmp_path: Path
) -> None:
    for folder in (train, validation, test):
        classes(tmp_path / "data" / folder)
    clips = read(tmp_path / "data", tmp_path / "set")
    assert Counter((c.split, c.label) for c in clips) == {
        (split, label): 2 for split in ("train", "validation", "test") for label in ("low", "high")
    }


def test_classes_may_have_names_of_splits(tmp_path: Path) -> None:
    for label in ("dev", "test", "train"):
        sound(tmp_path / "data" / label / "a.wav")
    clips = read(tmp_path / "data", tmp_path / "set")
    assert sorted((c.label, c.split) for c in clips) == [
        (label, "train") for label in ("dev", "test", "train")
    ]


@pytest.mark.parametrize(
    "ending",
    ["wav", "flac", "ogg", "oga", "opus", "mp3", "aiff", "aif", "au", "snd", "caf", "w64", "WAV"],
)
def test_endings(ending: str, tmp_path: Path) -> None:
    if ending == "aif":
        classes(tmp_path / "data", 1, "aiff")
        for path in sorted((tmp_path / "data").rglob("*.aiff")):
            path.rename(path.with_suffix(".aif"))
    else:
        classes(tmp_path / "data", 1, ending)
    assert len(read(tmp_path / "data", tmp_path / "set")) == 2


def test_what_is_not_read_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = tmp_path / "data"
    classes(data / "train")
    sound(data / "extra" / "low" / "a.wav")
    sound(data / "loose.wav")
    sound(data / "train" / "low" / "deeper" / "b.wav")
    for number in range(3):
        (data / "train" / "low" / f"{number}.m4a").write_bytes(b"x")
    for name in (".DS_Store", "._low0.wav", "Icon\r", "low0.wav:Zone.Identifier", "notes.txt"):
        (data / "train" / "low" / name).write_bytes(b"x")
    read(data, tmp_path / "set")
    (line,) = [line for line in caplog.text.splitlines() if "not read" in line]
    for words in (
        f"{data}: folder: not read: ",
        ". (1 .wav)",
        "extra (1 .wav)",
        "train/low (3 .m4a)",
        "train/low/deeper (1 .wav)",
        "convert .m4a to FLAC or WAV",
    ):
        assert words in line
    assert "Zone" not in line and "._" not in line


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_a_class_that_cannot_be_read_is_an_error(share: float, tmp_path: Path) -> None:
    classes(tmp_path / "data", 20)
    for number in range(3):
        (tmp_path / "data/low").joinpath(f"{number}.bin").touch()
        (tmp_path / "data/rare").mkdir(exist_ok=True)
        (tmp_path / "data/rare" / f"{number}.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"data.*rare.*cannot be (decoded|used)") as caught:
        read(tmp_path / "data", tmp_path / "set", {**ALL_TRAIN, "max_failures": share})
    if share > 0.1:
        assert "none of the training recordings of 'rare' can be used (3 failed" in str(
            caught.value
        )
    assert not (tmp_path / "set").exists()


def test_a_class_of_formats_that_are_not_read(tmp_path: Path) -> None:
    classes(tmp_path / "data")
    (tmp_path / "data" / "rare").mkdir()
    (tmp_path / "data" / "rare" / "a.M4A").write_bytes(b"x")
    with pytest.raises(InputError, match=r"data/rare: no recording of this class.*\.m4a"):
        read(tmp_path / "data", tmp_path / "set")


def archived(archive: Path, folder: Path, **extra: bytes) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            file.write(path, path.relative_to(folder))
        for name, content in extra.items():
            file.writestr(name, content)
    return archive


APPLE_DOUBLE = b"\0\5\x16\7" + bytes(160)


@pytest.mark.parametrize(
    "below, extra",
    [
        ("", {}),
        ("mydata", {}),
        ("mydata", {"__MACOSX/mydata/low/._low0.wav": APPLE_DOUBLE}),
        ("", {"__MACOSX/low/._low0.wav": APPLE_DOUBLE, "__MACOSX/._high": APPLE_DOUBLE}),
        ("mydata", {"docs/license.txt": b"x", "README.md": b"x"}),
        ("one/two/three", {"one/docs/picture.png": b"x"}),
        ("mydata", {"mydata/images/low/a.png": b"x"}),
    ],
)
@pytest.mark.parametrize("splits", [False, True])
def test_wrappings(below: str, extra: dict[str, bytes], splits: bool, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for split in ("train", "val", "test") if splits else ("",):
        classes(root / below / split)
    archive = archived(tmp_path / "recordings.zip", root, **extra)
    labels = Counter(clip.label for clip in read(archive, tmp_path / "set"))
    count = 6 if splits else 2
    assert labels == {"low": count, "high": count}
    assert {p.name for p in tmp_path.iterdir()} == {"root", "recordings.zip", "set"}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "yaml"])
@pytest.mark.parametrize("below", ["", "mydata"])
def test_a_manifest_where_class_folders_would_be(below: str, ending: str, tmp_path: Path) -> None:
    base = tmp_path / "root" / below
    classes(base / "clips")
    rows = [
        {"path": f"clips/{label}/{label}{n}.wav", "label": f"{label} sound"}
        for label in ("low", "high")
        for n in range(2)
    ]
    text = {
        "csv": "path,label\n" + "".join(f"{r['path']},{r['label']}\n" for r in rows),
        "jsonl": "\ufeff" + "\n\n".join(map(json.dumps, rows)),
        "yaml": "".join(f"- path: {r['path']}\n  label: {r['label']}\n" for r in rows),
    }[ending]
    (base / f"manifest.{ending}").write_text(text)
    for data in (tmp_path / "root", archived(tmp_path / "a.zip", tmp_path / "root")):
        clips = read(data, tmp_path / f"set-{data.name}")
        assert Counter(clip.label for clip in clips) == {"low sound": 2, "high sound": 2}


@pytest.mark.parametrize("system", [0, 3])
def test_separators_of_windows(system: int, tmp_path: Path) -> None:
    classes(tmp_path / "root")
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as file:
        for path in (tmp_path / "root").rglob("*.wav"):
            info = zipfile.ZipInfo("x")
            info.filename = f"mydata\\{path.parent.name}\\{path.name}"
            info.create_system = system
            file.writestr(info, path.read_bytes())
    assert len(read(tmp_path / "w.zip", tmp_path / "set")) == 4


def test_names_in_utf_8_without_the_flag(tmp_path: Path) -> None:
    """As macOS writes them, letters with accents in two characters."""
    names = [f"{label}/a.wav".encode() for label in ("Flo\u0308te", "Gera\u0308usch")]
    sound(tmp_path / "a.wav")
    with zipfile.ZipFile(tmp_path / "mac.zip", "w") as file:
        for number, name in enumerate(names):
            file.writestr(f"{number}" * len(name), (tmp_path / "a.wav").read_bytes())
    content = (tmp_path / "mac.zip").read_bytes()
    for number, name in enumerate(names):  # zipfile would set the flag
        content = content.replace(f"{number}".encode() * len(name), name)
    (tmp_path / "mac.zip").write_bytes(content)
    clips = read(tmp_path / "mac.zip", tmp_path / "set")
    assert {clip.label for clip in clips} == {"Fl\u00f6te", "Ger\u00e4usch"}


@pytest.mark.parametrize(
    "folders, words",
    [
        ([], "has 0 class folders"),
        (["only"], "has 1 class folders"),
        (["my/only"], "has 1 class folders"),
        (["a/x", "a/y", "b/x", "b/y"], "recordings deeper in, below a, b: give the folder"),
        (["test/a", "val/a", "test/b"], "has test, val but no train folder"),
        (["train/a", "train/b", "test/c"], "no training clips of c"),
    ],
)
def test_an_archive_is_named_and_no_temporary_folder(
    folders: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root").mkdir()
    for folder in folders:
        sound(tmp_path / "root" / folder / "a.wav")
    archived(tmp_path / "recordings.zip", tmp_path / "root", **{"notes.txt": b"x"})
    monkeypatch.chdir(tmp_path)
    for command, *arguments in (
        (stage, "--data", "recordings.zip", "--out", "set"),
        (main, "train", "recordings.zip", "--workspace", "work"),
    ):
        done = CliRunner().invoke(command, arguments)
        assert done.exit_code == 2, done.output
        last = done.stderr.splitlines()[-1]
        assert "recordings.zip" in last and words in last
        assert str(tmp_path) not in last and "audiostyle-" not in last
    assert {p.name for p in tmp_path.iterdir()} == {"root", "recordings.zip"}


@pytest.mark.parametrize(
    "text, words",
    [
        ("path,label\n", "m.csv: has no rows"),
        (
            "path,label\nlow/low0.wav,x\nhigh/high0.wav,x\n",
            "has 1 class, 'x'; 2 or more are needed",
        ),
        ("path,label\n\n\nlow/low0.wav,x\n\nhigh/high0.wav,\n", "line 6: label: is missing"),
        ("path,label\na.wav,x\na.wav,y\n", "line 3: path: a.wav stands in line 2 already"),
    ],
)
def test_manifests_of_no_use(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError, match=r"m\.csv") as caught:
        read(tmp_path / "m.csv", tmp_path / "set")
    assert words in str(caught.value)
    assert "class folders" not in str(caught.value)


def test_a_random_split_that_leaves_nothing_to_test(tmp_path: Path) -> None:
    classes(tmp_path / "data", 5)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "data", tmp_path / "set", {**QUICK, "validation": 0.01, "test": 0.01})
    for words in (str(tmp_path / "data"), "10 groups", "1% for test", "seed 0", "`validation`"):
        assert words in str(caught.value)


def test_irmas_beside_an_empty_folder(tmp_path: Path) -> None:
    for label in ("cel", "flu"):
        sound(tmp_path / "data" / label / f"008__[{label}][nod][cla]0058__1.wav")
    (tmp_path / "data" / "notes").mkdir()
    read(tmp_path / "data", tmp_path / "set")
    about = json.loads((tmp_path / "set" / "manifest.json").read_text())["config"]["data"]
    assert about["layout"] == "irmas"


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_what_is_no_file_is_named(kind: str, tmp_path: Path) -> None:
    classes(tmp_path / "data", 4)
    strange = tmp_path / "data" / "low" / "strange.wav"
    makers: dict[str, Callable[[], None]] = {
        "fifo": lambda: os.mkfifo(strange),
        "folder": strange.mkdir,
        "device": lambda: strange.symlink_to("/dev/zero"),
    }
    makers[kind]()
    clips = read(tmp_path / "data", tmp_path / "set", {**ALL_TRAIN, "max_failures": 0.5})
    assert len(clips) == 8
    failures = (tmp_path / "set" / "failures.jsonl").read_text()
    assert "low/strange.wav" in failures and "is not a file" in failures


@pytest.mark.parametrize("name", [b"low/caf\xe9.wav", b"caf\xe9/a.wav"])
def test_a_name_that_is_no_text_is_named(name: bytes, tmp_path: Path) -> None:
    classes(tmp_path / "data")
    path = tmp_path / "data" / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "data" / "low" / "low0.wav").rename(path)
    with pytest.raises(InputError, match=r"caf.*has a name that is not UTF-8; rename it"):
        read(tmp_path / "data", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_class_folders_behind_links(tmp_path: Path) -> None:
    classes(tmp_path / "elsewhere")
    (tmp_path / "root" / "mydata").mkdir(parents=True)
    for label in ("low", "high"):
        (tmp_path / "root" / "mydata" / label).symlink_to(tmp_path / "elsewhere" / label)
    (tmp_path / "elsewhere" / "low" / "back").symlink_to(tmp_path / "root")
    assert len(read(tmp_path / "root", tmp_path / "set")) == 4


def test_an_archive_of_archives(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    classes(tmp_path / "inner")
    archived(tmp_path / "root" / "train.zip", tmp_path / "inner")
    outer = archived(tmp_path / "outer.zip", tmp_path / "root")
    with pytest.raises(
        InputError, match=r"outer\.zip.*holds archives \(train\.zip\): extract them"
    ):
        read(outer, tmp_path / "set")


def test_a_small_class_that_a_random_split_takes_from_training(tmp_path: Path) -> None:
    classes(tmp_path / "data", 20)
    sound(tmp_path / "data" / "rare" / "a.wav")
    with pytest.raises(InputError, match=r"no training clips of rare: the random split \(seed"):
        for seed in range(20):
            read(tmp_path / "data", tmp_path / "set", {**QUICK, "seed": seed, "test": 0.4})


def test_a_manifest_beside_class_folders_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    classes(tmp_path / "data")
    (tmp_path / "data" / "manifest.csv").write_text("path,label\n")
    read(tmp_path / "data", tmp_path / "set")
    assert "folder: manifest.csv is not read, as its neighbors are class folders" in caplog.text
