"""Every layout, on a small archive that has exactly it: labels, splits, groups, licenses."""

import csv
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from conftest import tone

from audiostyle.errors import InputError
from audiostyle.spectrogram_set import Clip
from components.preprocess.data_set import DataSet, data_set
from components.preprocess.datasets import registry
from components.preprocess.datasets.urbansound8k import CLASSES
from components.preprocess.extract import extract


def sound(path: Path) -> None:
    """A tenth of a second, WAV or OGG by the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds=0.1), 22050)


def table(path: Path, header: str, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def packed(folder: Path, name: str) -> Path:
    """The folder's content as an archive, taken out again by ours: what a user would point at."""
    archive = folder.parent / name
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive, "w") as made:
            for path in files:
                made.write(path, path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz") as tar:
            for path in files:
                tar.add(path, path.relative_to(folder))
    out = folder.parent / f"{folder.name}-out"
    extract(archive, out)
    return out


def look(data: Path, layout: str = "auto") -> DataSet:
    return data_set(data, seed=0, validation=0.2, test=0.2, layout=layout)


def by_path(listing: DataSet) -> dict[str, Clip]:
    for clip in listing.clips:
        assert (listing.root / clip.path).is_file(), clip.path
    return {Path(clip.path).name: clip for clip in listing.clips}


def urbansound(root: Path, audio: str) -> None:
    rows = []
    for fold in range(1, 11):
        for kind in (3, 8):
            name = f"{100 + fold}-{kind}-0-{fold}.wav"
            sound(root / audio / f"fold{fold}" / name)
            rows.append(f"{name},{100 + fold},0.0,4.0,1,{fold},{kind},{CLASSES[kind]}")
    header = "slice_file_name,fsID,start,end,salience,fold,classID,class"
    if audio.startswith("UrbanSound8K"):
        table(root / "UrbanSound8K/metadata/UrbanSound8K.csv", header, rows)
        (root / "UrbanSound8K/audio/.DS_Store").touch()


@pytest.mark.parametrize("audio", ["UrbanSound8K/audio", "folds", ""])
def test_urbansound8k(audio: str, tmp_path: Path) -> None:
    urbansound(tmp_path / "u", audio)
    listing = look(packed(tmp_path / "u", "u.tar.gz"))
    clips = by_path(listing)
    assert listing.layout == "urbansound8k"
    assert len(clips) == 20
    clip = clips["104-3-0-4.wav"]
    assert (clip.label, clip.fold, clip.group, clip.source_id) == ("dog_bark", "4", "104", "104")
    assert clip.licence == "CC BY-NC 3.0"
    assert {c.fold: c.split for c in listing.clips} == {
        **{str(k): "train" for k in range(1, 9)},
        "9": "validation",
        "10": "test",
    }


@pytest.mark.parametrize("place", ["", "Train", "above"])
def test_analyticsvidhya(place: str, tmp_path: Path) -> None:
    root = tmp_path / "a"
    for number in range(40):
        sound(root / ("train" if place == "above" else "") / "Train" / f"{number * 7}.wav")
    header = "ID,Class"
    rows = [f"{n * 7},{'siren' if n % 2 else 'drilling'}" for n in range(40)]
    table(root / ("" if place == "above" else place) / "train.csv", header, rows)
    listing = look(packed(root, "train.zip"))
    assert listing.layout == "analyticsvidhya-urban"
    assert by_path(listing)["7.wav"].label == "siren"
    assert {c.split for c in listing.clips} == {"train", "validation", "test"}
    assert any("random split" in note for note in listing.notes)
    if place == "":
        assert look(root / "Train").layout == "analyticsvidhya-urban"


def esc50(root: Path) -> None:
    rows = []
    for fold in range(1, 6):
        for target, category, ten in (
            (0, "dog", True),
            (14, "chirping_birds", False),
            (10, "rain", True),
        ):
            name = f"{fold}-{1000 + fold}-A-{target}.wav"
            sound(root / "ESC-50-master/audio" / name)
            rows.append(f"{name},{fold},{target},{category},{ten},{1000 + fold},A")
    table(
        root / "ESC-50-master/meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take",
        rows,
    )


def test_esc50_and_its_ten(tmp_path: Path) -> None:
    esc50(tmp_path / "e")
    root = packed(tmp_path / "e", "master.zip")
    listing = look(root)
    assert listing.layout == "esc50"
    assert look(root / "ESC-50-master").layout == "esc50"
    clips = by_path(listing)
    assert len(clips) == 15
    clip = clips["4-1004-A-14.wav"]
    assert (clip.label, clip.fold, clip.split) == ("chirping_birds", "4", "validation")
    assert clip.group == clip.source_id == "1004"
    ten = look(root, "esc10")
    assert len(ten.clips) == 10
    assert {c.label for c in ten.clips} == {"dog", "rain"}
    assert ten.clips[0].licence == "CC BY 3.0"


def test_first_esc10(tmp_path: Path) -> None:
    for folder in ("001 - Dog bark", "002 - Rain"):
        for fold in range(1, 6):
            sound(tmp_path / "e/ESC-10-master" / folder / f"{fold}-{fold}17-B.ogg")
    (tmp_path / "e/ESC-10-master/README.md").touch()
    listing = look(packed(tmp_path / "e", "ESC-10-master.zip"))
    assert listing.layout == "esc10"
    clips = [c for c in listing.clips if c.path.endswith("5-517-B.ogg")]
    assert [(c.label, c.split, c.group) for c in clips] == [
        ("dog_bark", "test", "517"),
        ("rain", "test", "517"),
    ]


def test_irmas(tmp_path: Path) -> None:
    for label in ("cel", "gac", "voi"):
        for number in range(30):
            for excerpt in (1, 2, 3):
                name = f"{number:03d}__[{label}][nod][pop_roc]{number:04d}__{excerpt}.wav"
                sound(tmp_path / "i/IRMAS-TrainingData" / label / name)
    listing = look(packed(tmp_path / "i", "IRMAS-TrainingData.zip"))
    assert listing.layout == "irmas"
    clips = by_path(listing)
    assert len(clips) == 270
    clip = clips["004__[gac][nod][pop_roc]0004__2.wav"]
    assert (clip.label, clip.source_id) == ("gac", "004__[gac][nod][pop_roc]0004")
    splits: dict[str, set[str]] = {}
    for clip in listing.clips:
        splits.setdefault(clip.group, set()).add(clip.split)
    assert len(splits) == 90
    assert all(len(s) == 1 for s in splits.values())
    assert set.union(*splits.values()) == {"train", "validation", "test"}


@pytest.mark.parametrize("audio", ["audio", "", "Medley-solos-DB"])
def test_medley_solos(audio: str, tmp_path: Path) -> None:
    rows = []
    for number, subset in enumerate(("training", "training", "validation", "test")):
        for instrument, kind in (("clarinet", 0), ("piano", 4)):
            identity = f"0e4371ac-1c6a-51ab-fdb7-f8abd5fbf1{number}{kind}"
            sound(tmp_path / "m" / audio / f"Medley-solos-DB_{subset}-{kind}_{identity}.wav")
            rows.append(f"{subset},{instrument},{kind},{number},{identity}")
    name = "Medley-solos-DB_metadata.csv"
    table(tmp_path / "m" / name, "subset,instrument,instrument_id,song_id,uuid4", rows)
    listing = look(packed(tmp_path / "m", "m.tar.gz"))
    assert listing.layout == "medley-solos-db"
    by_path(listing)
    assert sorted((c.label, c.split, c.group) for c in listing.clips)[:2] == [
        ("clarinet", "test", "3"),
        ("clarinet", "train", "0"),
    ]


def test_nsynth(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        notes = {}
        for family in ("bass", "flute"):
            instrument = f"{family}_synthetic_{part}"
            name = f"{instrument}-033-050"
            sound(tmp_path / f"n/nsynth-{part}/audio/{name}.wav")
            notes[name] = {
                "instrument_family_str": family,
                "instrument_str": instrument,
                "pitch": 33,
            }
        (tmp_path / f"n/nsynth-{part}/examples.json").write_text(json.dumps(notes))
    root = packed(tmp_path / "n", "n.tar.gz")
    listing = look(root)
    assert listing.layout == "nsynth"
    clip = by_path(listing)["flute_synthetic_valid-033-050.wav"]
    assert (clip.label, clip.split, clip.group) == ("flute", "validation", "flute_synthetic_valid")
    assert clip.licence == "CC BY 4.0"


def test_speech_commands(tmp_path: Path) -> None:
    root = tmp_path / "s"
    for word in ("yes", "no"):
        for speaker in ("0a7c2a8d", "1b4c9b89", "2c7d1e55"):
            for number in (0, 1):
                sound(root / word / f"{speaker}_nohash_{number}.wav")
    sound(root / "_background_noise_" / "pink_noise.wav")
    for name, speaker in (("validation_list.txt", "1b4c9b89"), ("testing_list.txt", "2c7d1e55")):
        lines = [f"{w}/{speaker}_nohash_{n}.wav" for w in ("yes", "no") for n in (0, 1)]
        (root / name).write_text("\n".join(lines) + "\n")
    listing = look(packed(root, "speech_commands_v0.02.tar.gz"))
    assert listing.layout == "speechcommands"
    assert len(listing.clips) == 12
    assert {c.group: c.split for c in listing.clips} == {
        "0a7c2a8d": "train",
        "1b4c9b89": "validation",
        "2c7d1e55": "test",
    }


@pytest.mark.parametrize("below", ["", "mine/"])
def test_plain_folders(below: str, tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        for label in ("a", "b"):
            sound(tmp_path / f"p/{below}{split}/{label}/{split}.wav")
    listing = look(packed(tmp_path / "p", "p.zip"))
    assert listing.layout == "folder"
    assert {(c.label, c.split) for c in listing.clips} == {
        (label, split) for label in "ab" for split in ("train", "validation", "test")
    }


def _csv(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path = path.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("write", [_csv, _jsonl])
@pytest.mark.parametrize("part", ["fold", "split", "group"])
def test_manifests(
    write: Callable[[Path, list[dict[str, object]]], Path], part: str, tmp_path: Path
) -> None:
    rows: list[dict[str, object]] = []
    for number in range(60):
        path = f"some where/{number}.wav"
        sound(tmp_path / path)
        values = {"fold": number % 5, "split": ("train", "test")[number % 2], "group": number // 2}
        label = "ab"[number // 2 % 2]
        rows.append({"path": path, "label": label, "license": "CC0", part: values[part]})
    manifest = write(tmp_path / "clips.csv", rows)
    listing = look(manifest)
    assert look(tmp_path).clips == listing.clips
    assert listing.layout == "manifest"
    clips = by_path(listing)
    assert clips["7.wav"].licence == "CC0"
    if part == "fold":
        assert [clips[f"{n}.wav"].split for n in range(5)] == [*["train"] * 3, "validation", "test"]
    if part == "split":
        assert clips["3.wav"].split == "test"
    if part == "group":
        splits: dict[str, set[str]] = {}
        for clip in listing.clips:
            splits.setdefault(clip.group, set()).add(clip.split)
        assert all(len(s) == 1 for s in splits.values())
        other = data_set(manifest, seed=1, validation=0.2, test=0.2)
        assert [c.split for c in other.clips] != [c.split for c in listing.clips]


@pytest.mark.parametrize(
    "text, words",
    [
        ("path,lable\na.wav,x\n", "has no column label"),
        ("path,label,slpit\na.wav,x,test\n", "line 1: slpit: must be one of"),
        ("path,label\n../a.wav,x\n", r"line 2: path: \.\./a.wav leaves"),
        ("path,label\na.wav,\n", "line 2: label: is missing"),
        ("path,label\na.wav\n", "line 2: label: is missing"),
        ("path,label,split\na.wav,x,dev\n", "line 2: split: 'dev' must be one of"),
        ("path,label,fold,group\na,x,1,g\nb,x,2,g\n", "group 'g' is in two folds, '1' and '2'"),
        ("path,label,fold\na,x,1\nb,y,2\n", "has 2 folds; 3 or more"),
        ("path,label,split\na,x,train\nb,y,\n", "b has no split, though others"),
        ("path,label\na,x\nb,x\n", "has 1 class"),
        ("path,label,license,licence\na,x,CC0,CC0\n", "line 2: licence: is the former name"),
    ],
)
def test_manifests_that_cannot_be_used(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        look(tmp_path / "m.csv")
    assert "m.csv" in str(caught.value)


def test_the_former_name_of_the_column_license(tmp_path: Path) -> None:
    for number in range(10):
        sound(tmp_path / f"{number}.wav")
    names = ("licence", "license")
    listings = []
    for name in names:
        rows = [f"{n}.wav,{'ab'[n % 2]},CC0" for n in range(10)]
        (tmp_path / f"{name}.csv").write_text("\n".join([f"path,label,{name}", *rows]))
        listings.append(look(tmp_path / f"{name}.csv"))
    assert listings[0].clips == listings[1].clips
    assert {clip.licence for clip in listings[0].clips} == {"CC0"}


def test_a_layout_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not look like irmas: missing folders of its codes"):
        look(tmp_path, "irmas")
    with pytest.raises(InputError, match="'imras' must be one of auto, urbansound8k"):
        look(tmp_path, "imras")


def test_every_name_has_a_layout() -> None:
    assert set(registry.published()) <= {d.name for d in registry.definitions()}
    with pytest.raises(InputError, match=r"nonesuch does not exist.*urbansound8k"):
        registry.named("nonesuch")
