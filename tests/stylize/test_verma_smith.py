"""AlexNet from the train stage, with its model card, and the method that needs it."""

import json
from pathlib import Path

from click.testing import CliRunner

from audiostyle import artifacts, spectrogram_set, stylized_set
from components.stylize.__main__ import main as stage
from components.train import card
from components.train.__main__ import main as training


def test_from_training_to_a_stylized_set(
    spectrograms: Path, pairs: Path, classifier: Path, tmp_path: Path
) -> None:
    model, out = tmp_path / "alexnet", tmp_path / "set"
    line = ["--data", str(spectrograms), "--out", str(model), "--architecture", "alexnet"]
    small = ["--channels", "[4, 6, 8, 6, 6]", "--bands", "32", "--epochs", "2", "--batch", "4"]
    done = CliRunner().invoke(training, [*line, *small])
    assert done.exit_code == 0, done.output
    opened = artifacts.opening(model, artifacts.CLASSIFIER)
    assert opened.config["train"]["network"]["architecture"] == "alexnet"
    metrics = json.loads((model / "metrics.json").read_text())
    text = card.write(opened, metrics, spectrogram_set.read(spectrograms))
    assert "`conv1` … `conv5`" in text
    few = ["--iterations", "3"]
    # Of the paper's method, the layers are the classifier's: five here, four in ours.
    last = ["--method", "trained", "--content-layers", "[conv5]", "--batch", "1", *few]
    given = ["--pairs", str(pairs), "--out", str(tmp_path / "last"), *last]
    refused = CliRunner().invoke(stage, [*given, "--classifier", str(classifier)])
    assert refused.exit_code == 2
    assert "content_layers: must be of conv1, conv2, conv3, conv4 for this" in refused.output
    done = CliRunner().invoke(stage, [*given, "--classifier", str(model)])
    assert done.exit_code == 0, done.output
    given = ["--pairs", str(pairs), "--out", str(out), "--method", "verma-smith"]
    refused = CliRunner().invoke(stage, [*given, *few, "--classifier", str(classifier)])
    assert refused.exit_code == 2
    assert "network.architecture: alexnet" in refused.output and not out.exists()
    done = CliRunner().invoke(stage, [*given, *few, "--classifier", str(model)])
    assert done.exit_code == 0, done.output
    for item in stylized_set.read(out).items:
        assert item.settings["init"] == "noise"
        assert item.losses["total"][-1] < item.losses["total"][0]
