"""The bundled recordings are what their README says."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from audiostyle import audio
from audiostyle.spectrogram_set import SPLITS
from components.preprocess.data_set import data_set
from components.stylize.pairs import read_pairs

BUNDLED = ROOT / "examples" / "instruments"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (BUNDLED / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_size_and_counts() -> None:
    assert sum(p.stat().st_size for p in BUNDLED.rglob("*") if p.is_file()) <= 8_000_000
    clips = data_set(BUNDLED, seed=0, validation=0.1, test=0.1).clips
    labels = Counter(clip.label for clip in clips)
    assert len(labels) >= 10
    assert min(labels.values()) >= 24
    for split in SPLITS:
        counts = Counter(clip.label for clip in clips if clip.split == split)
        assert len(set(counts.values())) == 1 and len(counts) == len(labels)


def test_manifest_lists_every_clip_with_its_license(rows: list[dict[str, str]]) -> None:
    clips = {c.path for c in data_set(BUNDLED, seed=0, validation=0.1, test=0.1).clips}
    assert clips <= {row["path"] for row in rows}
    assert all(row["license"] and row["source"] for row in rows)
    texts = [path.name for path in (BUNDLED / "LICENSES").iterdir()]
    for font in {row["source"].split(" (")[0] for row in rows}:
        assert any(name.startswith(f"{font}-") for name in texts), font


def test_every_class_is_taught_by_several_fonts_none_of_them_by_much(
    rows: list[dict[str, str]],
) -> None:
    """What is learnt from one recording of an instrument is that recording."""
    fonts: dict[str, Counter[str]] = {}
    for row in rows:
        if row["split"] == "train":
            fonts.setdefault(row["label"], Counter())[row["source"]] += 1
    for label, counts in fonts.items():
        assert len(counts) >= 3, label
        assert max(counts.values()) <= sum(counts.values()) / 2, label


def test_no_phrase_is_in_two_splits_and_the_test_font_is_never_trained_on(
    rows: list[dict[str, str]],
) -> None:
    phrases: dict[str, set[str]] = {}
    fonts: dict[str, set[str]] = {}
    for row in rows:
        phrases.setdefault(row["group"], set()).add(row["split"])
        fonts.setdefault(row["split"], set()).add(row["source"])
    assert all(len(splits) == 1 for splits in phrases.values())
    assert not fonts["test"] & (fonts["train"] | fonts["validation"])


def test_every_clip_sounds_and_lasts_three_seconds() -> None:
    for path in sorted(BUNDLED.rglob("*.ogg")):
        recording = audio.require_sound(audio.read(path), path, seconds=2.99)
        assert recording.sample_rate == 22050
        assert recording.samples.shape == (1, 66150), path
        assert np.abs(recording.samples).max() < 1


def test_pairs_have_true_targets() -> None:
    pairs = read_pairs(BUNDLED / "pairs" / "pairs.csv")
    assert len(pairs) >= 3
    for pair in pairs:
        assert pair.target is not None
        onset = []
        for path in (pair.content, pair.target):
            samples = audio.mono(audio.read(Path(path)))
            onset.append(int(np.argmax(np.abs(samples) > 0.1 * np.abs(samples).max())))
        assert abs(onset[0] - onset[1]) < 0.1 * 22050  # the same phrase, at the same time


def test_each_clip_of_the_bundled_data_set_has_its_license() -> None:
    found = data_set(BUNDLED, seed=0, validation=0.1, test=0.1)
    assert found.layout == "bundled"
    rows = list(csv.DictReader((BUNDLED / "manifest.csv").open(encoding="utf-8")))
    stated = {row["path"]: row["license"] for row in rows if row["split"] != "pairs"}
    assert {clip.path: clip.licence for clip in found.clips} == stated
    assert all(stated.values())


def test_the_former_name_of_the_column_license_is_the_bundled_data_set_too(tmp_path: Path) -> None:
    for path in BUNDLED.iterdir():
        if path.name != "manifest.csv":
            (tmp_path / path.name).symlink_to(path)
    text = (BUNDLED / "manifest.csv").read_text().replace(",license\n", ",licence\n", 1)
    (tmp_path / "manifest.csv").write_text(text)
    found = data_set(tmp_path, seed=0, validation=0.1, test=0.1)
    assert found.layout == "bundled" and all(clip.licence for clip in found.clips)


def test_a_folder_like_the_bundled_one_is_a_folder_of_classes(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        for label in ("cello", "flute"):
            (tmp_path / split / label).mkdir(parents=True)
            for path in sorted((BUNDLED / split / label).iterdir())[:1]:
                shutil.copy(path, tmp_path / split / label)
    (tmp_path / "manifest.csv").write_text("path,label,split,group,source,license\n")
    (tmp_path / "pairs").mkdir()
    assert data_set(tmp_path, seed=0, validation=0.1, test=0.1).layout == "folder"
