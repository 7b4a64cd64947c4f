"""Cross-validation: nothing on two sides, every clip tested once, resumed when killed."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import made_sets
import pytest
import yaml
from conftest import DEADLINE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiostyle import artifacts, spectrogram_set
from audiostyle.errors import InputError
from audiostyle.spectrogram_set import Clip
from components.train.folds import cross_validate
from components.train.protocol import folds, of_fold
from components.train.train import train

# Fold, label and size of a group; three of every kind at least, so that there is what to draw.
GROUPS = st.lists(
    st.tuples(st.sampled_from("1234"), st.sampled_from(made_sets.LABELS), st.integers(1, 5)),
    max_size=60,
).map(lambda more: [(f, label, 1) for f in "1234" for label in made_sets.LABELS] * 3 + more)


@pytest.fixture(scope="module")
def one_clip(tmp_path_factory: pytest.TempPathFactory) -> spectrogram_set.SpectrogramSet:
    folder = tmp_path_factory.mktemp("one") / "set"
    return spectrogram_set.read(made_sets.write(folder, made_sets.split_clips(1, 1, 1)))


def clips_of(groups: list[tuple[str, str, int]]) -> tuple[Clip, ...]:
    return tuple(
        made_sets.clip(label, "train", fold=fold, group=str(number), n=n)
        for number, (fold, label, size) in enumerate(groups)
        for n in range(size)
    )


def with_clips(
    clips: tuple[Clip, ...], found: spectrogram_set.SpectrogramSet
) -> spectrogram_set.SpectrogramSet:
    return spectrogram_set.SpectrogramSet(found.artifact, found.spectrogram, clips)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(groups=GROUPS, seed=st.integers(0, 5))
def test_nothing_is_on_two_sides(
    one_clip: spectrogram_set.SpectrogramSet, groups: list[tuple[str, str, int]], seed: int
) -> None:
    whole = with_clips(clips_of(groups), one_clip)
    assert folds(whole) == ["1", "2", "3", "4"]
    for fold in folds(whole):
        made = of_fold(whole, fold, seed).clips
        assert [(c.path, c.fold) for c in made] == [(c.path, c.fold) for c in whole.clips]
        assert {c.path for c in made if c.split == "test"} == {
            c.path for c in whole.clips if c.fold == fold
        }
        sides = {split: {c.group for c in made if c.split == split} for split in ("train", "test")}
        sides["validation"] = {c.group for c in made if c.split == "validation"}
        assert sum(map(len, sides.values())) == len(groups)  # each group on one side
        rest = [c for c in made if c.fold != fold]
        largest = max(size for _, _, size in groups)
        for label in made_sets.LABELS:
            validating = sum(c.split == "validation" for c in rest if c.label == label)
            all_of_it = sum(c.label == label for c in rest)
            assert 0.1 * all_of_it <= validating < 0.1 * all_of_it + largest
            assert any(c.split == "train" for c in rest if c.label == label)


def test_validation_keeps_its_groups_when_others_come(
    one_clip: spectrogram_set.SpectrogramSet,
) -> None:
    few = tuple(made_sets.fold_clips(groups=10))
    drawn = [
        {c.group for c in of_fold(with_clips(clips, one_clip), "1").clips if c.split == split}
        for clips in (few, few[::-1])
        for split in ("validation",)
    ]
    assert drawn[0] == drawn[1]
    other = {
        c.group
        for c in of_fold(with_clips(few, one_clip), "1", seed=1).clips
        if c.split == "validation"
    }
    assert other != drawn[0]


@pytest.mark.parametrize(
    "clips, fold, words",
    [
        (made_sets.split_clips(2, 1, 1), "1", "has no folds"),
        (made_sets.fold_clips("1"), "1", "has no folds"),
        (made_sets.fold_clips(), "9", "fold: '9' must be one of 1, 2, 3"),
        (
            [*made_sets.fold_clips(), made_sets.clip("low", fold="2", group="1low0", n=99)],
            "3",
            "group '1low0'",
        ),
    ],
)
def test_what_cannot_be_told_apart_is_refused(
    one_clip: spectrogram_set.SpectrogramSet, clips: list[Clip], fold: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        of_fold(with_clips(tuple(clips), one_clip), fold)


def test_folds_are_in_the_order_of_their_numbers(
    one_clip: spectrogram_set.SpectrogramSet,
) -> None:
    names = ["fold10", "fold2", "fold1"]
    assert folds(with_clips(tuple(made_sets.fold_clips(names)), one_clip)) == names[::-1]


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_sets.write(tmp_path_factory.mktemp("folded") / "set", made_sets.fold_clips())


@pytest.fixture(scope="module")
def unbroken(folded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "folds"
    cross_validate(folded, out, made_sets.training(epochs=8))
    return out


def test_every_clip_is_tested_once(folded: Path, unbroken: Path) -> None:
    report = json.loads((unbroken / "folds.json").read_text())
    assert {p.name for p in unbroken.glob("[!.]*")} == {"fold-1", "fold-2", "fold-3", "folds.json"}
    tested = []
    for fold, measures in report["folds"].items():
        opened = artifacts.opening(unbroken / f"fold-{fold}", artifacts.CLASSIFIER)
        rows = artifacts.read_table(opened.path("predictions.jsonl"))
        right = sum(row["label"] == row["predicted"] for row in rows)
        assert measures["accuracy"] == pytest.approx(right / len(rows))
        tested += [row["path"] for row in rows]
    assert sorted(tested) == sorted(c.path for c in spectrogram_set.read(folded).clips)
    assert report["clips"] == len(tested)
    values = [one["accuracy"] for one in report["folds"].values()]
    assert report["accuracy_mean"] == pytest.approx(sum(values) / 3)
    assert report["accuracy_std"] == pytest.approx(statistics.stdev(values))
    assert report["chance"] == pytest.approx(1 / 3)
    assert sum(map(sum, report["confusion"])) == len(tested)
    assert report["seconds_mean"] > 0


def test_a_fold_alone_is_that_fold_of_all(folded: Path, unbroken: Path, tmp_path: Path) -> None:
    train(folded, tmp_path / "alone", made_sets.training(epochs=8), fold="2")
    assert (
        artifacts.opening(tmp_path / "alone", artifacts.CLASSIFIER).digest
        == artifacts.opening(unbroken / "fold-2", artifacts.CLASSIFIER).digest
    )


def test_what_is_there_is_not_trained_again(folded: Path, tmp_path: Path) -> None:
    few = made_sets.training(epochs=2)
    first = cross_validate(folded, tmp_path / "folds", few, "1")
    manifest = tmp_path / "folds" / "fold-1" / "manifest.json"
    inode = manifest.stat().st_ino
    again = cross_validate(folded, tmp_path / "folds", few, "1")
    assert manifest.stat().st_ino == inode
    assert again == first
    cross_validate(folded, tmp_path / "folds", made_sets.training(epochs=3), "1")
    assert manifest.stat().st_ino != inode


@pytest.mark.slow
def test_killed_between_and_within_folds(folded: Path, unbroken: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(made_sets.training(epochs=8).plain()))
    command = [sys.executable, "-m", "components.train", "--data", str(folded), "--folds", "all"]
    command += ["--out", str(tmp_path / "out"), "--config", str(config)]
    command += ["--checkpoints", str(tmp_path / "kept")]
    # Within the first fold, and just after the second.
    for moment, signalled, code in (
        ("**/epoch-00003.safetensors", signal.SIGTERM, 143),
        ("folds-*/fold-2", signal.SIGKILL, -signal.SIGKILL),
    ):
        ended = 0
        while ended == 0:  # it was faster than the signal
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            while process.poll() is None and not list((tmp_path / "kept").glob(moment)):
                time.sleep(0.005)
            process.send_signal(signalled)
            ended = process.wait(DEADLINE)
        assert ended == code
        assert not (tmp_path / "out").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for fold in "123":
        a, b = (
            artifacts.opening(folder / f"fold-{fold}", artifacts.CLASSIFIER).digest
            for folder in (unbroken, tmp_path / "out")
        )
        assert a == b
    assert not (tmp_path / "kept").exists()
    one, other = (
        json.loads((folder / "folds.json").read_text()) for folder in (unbroken, tmp_path / "out")
    )
    assert one["confusion"] == other["confusion"]


def test_folds_or_a_fold(folded: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "components.train", "--data", str(folded)]
    command += ["--out", str(tmp_path / "out"), "--folds", "all", "--fold", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--folds all or --fold NAME" in done.stderr


@pytest.mark.slow
def test_on_the_command_line(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    lines = ["path,label,fold"]
    for number, path in enumerate(sorted((tmp_path / "data").rglob("*.wav"))):
        lines.append(f"{path.relative_to(tmp_path / 'data')},{path.parent.name},{number % 3 + 1}")
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(lines) + "\n")
    settings = {"train": made_sets.training(epochs=2).plain()}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "pipeline.cli", "train", "data/manifest.csv"]
    command += ["--config", "config.yaml", "--workspace", "work", "--folds", "all"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(shown) == ["Accuracy", "Report", "Log"]
    report = json.loads((tmp_path / shown["Report"]).read_text())
    assert sorted(report["folds"]) == ["1", "2", "3"]
    assert report["clips"] == 18
    assert f"{report['accuracy_mean']:.3f} +- {report['accuracy_std']:.3f}" in shown["Accuracy"]
    assert not (tmp_path / "work" / "mlflow.db").exists()  # nothing is registered
    both = subprocess.run(
        [*command, "--if-changed"], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert both.returncode == 2
