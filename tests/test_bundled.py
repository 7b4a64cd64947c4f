"""The bundled classifier: small, what its card says, and used where there is no champion."""

import csv
import re
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from test_cli import audiostyle

from audiostyle import artifacts, bundled, network
from audiostyle.spectrogram_set import Clip
from audiostyle.training_metrics import read_metrics

RECORDINGS = ROOT / "examples" / "instruments"


@pytest.fixture(scope="module")
def classifier() -> artifacts.Artifact:
    return artifacts.opening(bundled.classifier(), artifacts.CLASSIFIER)


def test_it_is_small_and_holds_no_path_of_the_machine(classifier: artifacts.Artifact) -> None:
    paths = list(classifier.folder.iterdir())
    assert sum(path.stat().st_size for path in paths) < 2e6
    for path in paths:
        assert str(ROOT.parent).encode() not in path.read_bytes()


def test_it_reaches_the_accuracy_of_its_card_on_the_bundled_test_split(
    classifier: artifacts.Artifact,
) -> None:
    """Its sounds are those that are bundled, and their classes come out as its table says."""
    from components.preprocess.preprocess import list_results
    from components.train.evaluation import probabilities

    rows = artifacts.read_table(classifier.path("predictions.jsonl"))
    for row in rows:
        assert artifacts.file_digest(RECORDINGS / row["path"]) == row["sha256"]
    model = network.load(classifier.folder)
    clips = [Clip(row["path"], row["label"], "test", row["path"]) for row in rows]
    results = list(list_results(RECORDINGS, clips, model.spectrogram))
    with torch.inference_mode():
        represented = [model.represent(parts[0][1][None]) for parts in results]  # type: ignore[index]
        predicted = probabilities(model, torch.cat(represented)).argmax(1).tolist()
    names = [model.class_names[index] for index in predicted]
    agreeing = sum(name == row["predicted"] for name, row in zip(names, rows, strict=True))
    assert agreeing >= 119  # of 120: another CPU may round one to the other side
    accuracy = sum(name == row["label"] for name, row in zip(names, rows, strict=True)) / len(rows)
    stated = re.search(r"Accuracy ([\d.]+)", bundled.card().read_text())
    assert stated and float(stated[1]) == pytest.approx(accuracy, abs=1 / 120 + 1e-3)
    assert read_metrics(classifier)["test"]["accuracy"] == pytest.approx(float(stated[1]), abs=1e-3)


def test_its_card_names_every_license_and_collection_that_it_learned_from() -> None:
    card = bundled.card().read_text()
    with (RECORDINGS / "manifest.csv").open(newline="") as file:
        learned = [row for row in csv.DictReader(file) if row["split"] in ("train", "validation")]
    assert len(learned) == 432
    for license in {row["license"] for row in learned}:
        count = sum(row["license"] == license for row in learned)
        assert f"{license} ({count} clips)" in card
    for source in ("FluidR3_GM", "freepats", "Sonivox", "VSCO2", "Nicholaus Brosowsky"):
        assert source in card
    assert "The weights are under the Apache License 2.0" in card


@pytest.mark.slow
def test_it_is_used_where_there_is_no_champion(pairs: Path, tmp_path: Path) -> None:
    sounds = (pairs.parent / "a.wav", pairs.parent / "b.flac")
    done = audiostyle("stylize", *sounds, "-o", "out.wav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out.wav\n"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("model: ")]
    assert "outputs has no champion; the bundled classifier" in line
    assert [path.name for path in tmp_path.iterdir()] == ["out.wav"]
