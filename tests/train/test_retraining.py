"""Training only where it would be of something else than the champion, and saying of what."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import made_sets
import pytest

from audiostyle import artifacts, spectrogram_set
from audiostyle.errors import AudiostyleError
from audiostyle.registry import Registry
from audiostyle.spectrogram_set import Clip
from components.train.content import content_digest
from components.train.gate import GateConfig
from components.train.register import register
from components.train.retraining import decide
from components.train.train import train

ANY = GateConfig(floor=1.0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_sets.write(tmp_path_factory.mktemp("set") / "set", made_sets.split_clips())


def changed(clips: Path, change: Callable[[Clip], Clip], out: Path) -> Path:
    rows = list(spectrogram_set.read(clips).clips)
    return made_sets.write(out, [change(rows[0]), *rows[1:]])


@pytest.mark.parametrize(
    "change, same",
    [
        (lambda clip: clip, True),
        (lambda clip: dataclasses.replace(clip, path=f"elsewhere/{clip.path}"), True),
        (lambda clip: dataclasses.replace(clip, sha256="0" * 64), False),
        (lambda clip: dataclasses.replace(clip, label="low"), False),
        (lambda clip: dataclasses.replace(clip, split="test"), False),
        (lambda clip: dataclasses.replace(clip, fold="1"), False),
    ],
)
def test_data_are_the_same_wherever_they_lie(
    clips: Path, tmp_path: Path, change: Callable[[Clip], Clip], same: bool
) -> None:
    other = spectrogram_set.read(changed(clips, change, tmp_path / "set"))
    assert (content_digest(other) == content_digest(spectrogram_set.read(clips))) == same


def test_order_and_low_bits_are_no_change(clips: Path, tmp_path: Path) -> None:
    rows = list(spectrogram_set.read(clips).clips)
    # Written in another order, each clip also gets another draw of noise.
    made = spectrogram_set.read(made_sets.write(tmp_path / "set", rows[::-1], name="other"))
    assert content_digest(made) == content_digest(spectrogram_set.read(clips))
    assert made.digest != spectrogram_set.read(clips).digest


def test_what_differs_is_said(clips: Path, tmp_path: Path, registry_uri: str) -> None:
    uri = registry_uri
    config = made_sets.training()
    assert decide(clips, uri, config).reason == "there is no champion yet"
    train(clips, tmp_path / "model", config)
    registered = register(tmp_path / "model", clips, uri, ANY)
    Registry(uri).promote(Registry(uri).find("1"))

    same = decide(clips, uri, config)
    assert (same.decision, "version 1" in same.reason) == ("skip", True)
    # Of the training, not of the decision.
    assert "12 clips" in registered.pop("warning")
    assert registered.pop("accuracy") > registered.pop("chance")
    no_verdict = {"verdict": "", "reason": ""}
    assert same.registration() | no_verdict == registered | no_verdict
    assert decide(clips, uri, made_sets.training(device="cpu")).decision == "skip"

    longer = made_sets.training(epochs=5, augmentation={"mixup": 0})
    settings = decide(clips, uri, longer)
    assert settings.decision == "train" and settings.registration() == {}
    assert re.search(
        r"settings \(augmentation\.mixup \S+ -> 0\.0, epochs 4 -> 5\)$", settings.reason
    )
    grown = changed(clips, lambda c: dataclasses.replace(c, sha256="1" * 64), tmp_path / "grown")
    assert decide(grown, uri, config).reason == "not as for version 1: data"
    assert "data; settings (" in decide(grown, uri, longer).reason

    # A challenger of the same that was held: it would be held again.
    train(clips, tmp_path / "held", longer)
    assert register(tmp_path / "held", clips, uri, GateConfig(floor=3.0))["version"] == "2"
    registry = Registry(uri)
    registry.restore(registry.find("1"))
    held = decide(clips, uri, longer)
    assert (held.decision, held.registration()["version"]) == ("skip", "2")

    # Another release trains otherwise, by whatever its code has changed.
    registry.tag(registry.find("1"), {"audiostyle.release": "audiostyle 0.0.1"})
    release = decide(clips, uri, config)
    assert (release.decision, "release" in release.reason) == ("train", True)


def test_a_registry_that_cannot_be_asked_is_an_error(
    clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(AudiostyleError, match=r"127\.0\.0\.1:9"):
        decide(clips, "http://127.0.0.1:9", made_sets.training())


def test_a_classifier_of_other_data_is_not_registered(clips: Path, tmp_path: Path) -> None:
    """Its held-out clips would not be those that it has not seen."""
    train(clips, tmp_path / "model", made_sets.training(epochs=1))
    moved = changed(clips, lambda c: dataclasses.replace(c, split="test"), tmp_path / "moved")
    with pytest.raises(AudiostyleError, match=r"is not what .* was trained on"):
        register(tmp_path / "model", moved, f"sqlite:///{tmp_path / 'mlflow.db'}", ANY)
    assert not (tmp_path / "mlflow.db").exists()


def test_a_fold_is_judged_on_its_own_clips(tmp_path: Path, registry_uri: str) -> None:
    clips = made_sets.write(tmp_path / "set", made_sets.fold_clips())
    train(clips, tmp_path / "model", made_sets.training(), fold="2")
    told = register(tmp_path / "model", clips, registry_uri, ANY)
    opened = artifacts.opening(tmp_path / "model", artifacts.CLASSIFIER)
    assert opened.config["fold"] == "2"
    registry = Registry(registry_uri)
    assert "fold 2 tests" in registry.card(registry.find(told["version"]))
