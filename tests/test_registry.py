"""Registration and promotion against a real MLflow on sqlite."""

import json
import re
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from conftest import small_training

from audiostyle import artifacts, network
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.registry import MODEL, Registry
from audiostyle.tracking_uris import sqlite_uri
from components.train.gate import GateConfig, judge, mcnemar
from components.train.register import register
from components.train.train import train
from pipeline.cli import main

ANY = GateConfig(floor=1.0)


@pytest.fixture(scope="module")
def uri(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("registry")
    return f"sqlite:///{shutil.copy(empty_database, folder / 'mlflow.db')}"


@pytest.fixture(scope="module")
def first(uri: str, classifier: Path, spectrograms: Path) -> dict[str, object]:
    return register(classifier, spectrograms, uri, GateConfig(floor=1e-9 + 1), {"who": "test"})


def test_first_version_is_registered(first: dict[str, object], uri: str, classifier: Path) -> None:
    found = Registry(uri).find("1")
    assert first["uri"] == found.uri == f"models:/{MODEL}/1"
    assert found.tags["audiostyle.who"] == "test"
    assert found.tags["audiostyle.verdict"] == first["verdict"]
    run = mlflow.MlflowClient(uri).get_run(found.run_id)
    assert run.data.params["epochs"] == "4"
    metrics = json.loads((classifier / "metrics.json").read_text())
    assert run.data.metrics["test_accuracy"] == pytest.approx(metrics["test"]["accuracy"])


def test_the_registry_says_what_it_holds_where_people_browse_it(
    first: dict[str, object], uri: str
) -> None:
    registry = Registry(uri)
    registry.promote(registry.find("1"))
    version = registry.find("1")
    run = registry.client.get_run(version.run_id)
    accuracy = run.data.metrics["test_balanced_accuracy"]
    data, began, last = run.info.run_name.split(" · ")
    assert data == version.tags["audiostyle.data_name"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", began)
    assert last == f"{accuracy:.3f}"
    model = registry.client.get_registered_model(MODEL)
    assert "**Version 1 is the default**" in model.description
    assert version.summary and version.summary in model.description
    assert model.tags["champion"] == "1"
    assert model.tags["data"] == data
    assert float(model.tags["balanced accuracy"]) == pytest.approx(accuracy, abs=1e-3)
    assert model.tags["licenses"] == version.tags["audiostyle.licenses"]
    assert model.tags["licenses"] in registry.card(version)
    assert model.tags["verdict"] == first["verdict"]


def test_registering_again_changes_nothing(
    first: dict[str, object], uri: str, classifier: Path, spectrograms: Path
) -> None:
    assert register(classifier, spectrograms, uri, ANY) == first
    assert len(Registry(uri).versions()) == 1


def test_served_model_and_feature_extractor_are_one(
    first: dict[str, object],
    uri: str,
    classifier: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(uri)
    local = registry.download(registry.find("1"), tmp_path)
    opened = artifacts.opening(local, artifacts.CLASSIFIER)
    assert opened.digest == artifacts.opening(classifier, artifacts.CLASSIFIER).digest
    ours = network.load(opened.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    served = mlflow.pytorch.load_model(str(first["uri"]))
    x = torch.rand(3, ours.spectrogram.bins, ours.spectrogram.clip_frames)
    torch.testing.assert_close(served(x), ours(x), rtol=1e-4, atol=1e-4)
    plain = mlflow.pyfunc.load_model(str(first["uri"])).predict(x.numpy())
    np.testing.assert_allclose(plain, ours(x).detach().numpy(), rtol=1e-3, atol=1e-3)


def test_nothing_is_pickled(
    first: dict[str, object], uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    local = Path(mlflow.artifacts.download_artifacts(str(first["uri"]), dst_path=str(tmp_path)))
    names = {p.name for p in local.rglob("*") if p.is_file()}
    assert "model.pt2" in names
    assert not [n for n in names if n.endswith((".pkl", ".pickle", ".pth", ".pt"))]


def test_champion_and_challenger(
    first: dict[str, object], uri: str, spectrograms: Path, tmp_path: Path
) -> None:
    registry = Registry(uri)
    registry.point("champion", registry.find("1"))
    train(spectrograms, tmp_path / "second", small_training(seed=5))
    second = register(tmp_path / "second", spectrograms, uri, ANY)
    assert second["version"] == "2"
    assert registry.find("challenger").version == 2
    champion = registry.champion()
    assert champion is not None
    assert champion.version == (2 if second["verdict"] == "promote" else 1)
    assert "against the champion" in str(second["reason"]) or "below" in str(second["reason"])
    registry.point("champion", registry.find("1"))  # as it was, for the other tests


def test_promote_compare_and_rollback_by_hand(
    first: dict[str, object], uri: str, spectrograms: Path, tmp_path: Path
) -> None:
    registry = Registry(uri)
    registry.point("champion", registry.find("1"))
    train(spectrograms, tmp_path / "third", small_training(seed=9))
    third = register(tmp_path / "third", spectrograms, uri, GateConfig(floor=3.0))["version"]

    def models(*arguments: object) -> Result:
        return CliRunner().invoke(main, ["models", *map(str, arguments), "--tracking-uri", uri])

    assert models("promote", third).output == f"champion is version {third}\n"
    assert registry.client.get_registered_model(MODEL).tags["champion"] == third
    assert "champion" in models("show", third).output
    compared = models("compare", 1, third)
    assert "digest" in compared.output and "version 1" in compared.output
    back = models("rollback")
    assert back.output == f"champion is version 1, no longer {third}\n"
    assert registry.client.get_registered_model(MODEL).tags["champion"] == "1"
    again = registry.champion()
    assert again is not None and again.version == 1
    nothing = models("rollback")
    assert (nothing.exit_code, "had no predecessor" in nothing.output) == (2, True)


@pytest.mark.parametrize(
    "reference", ["9", "best", f"models:/{MODEL}/77", "no/such", "9" * 20, "²", "x" * 300]
)
def test_unknown_versions_are_named(first: dict[str, object], uri: str, reference: str) -> None:
    with pytest.raises(InputError) as caught:
        Registry(uri).find(reference)
    assert reference in str(caught.value)


def test_a_classifier_in_a_folder_of_any_name(
    classifier: Path, spectrograms: Path, tmp_path: Path
) -> None:
    """MLflow took what followed a # for a part of an address, and registered nothing."""
    folder = tmp_path / "C# 100% ?x=1&y %41 ü'\"q"
    copied = shutil.copytree(classifier, folder / "model")
    registry = Registry(sqlite_uri(folder / "w" / "mlflow.db"))
    register(copied, spectrograms, registry.uri, ANY)
    there = registry.download(registry.find("1"), tmp_path / "there")
    assert artifacts.opening(there, artifacts.CLASSIFIER).digest == (
        artifacts.opening(classifier, artifacts.CLASSIFIER).digest
    )


def test_an_empty_registry_has_no_champion(tmp_path: Path) -> None:
    registry = Registry(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}")
    assert registry.champion() is None
    assert registry.versions() == []


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(AudiostyleError, match=r"127\.0\.0\.1:9"):
        Registry("http://127.0.0.1:9").versions()


def _test(balanced: float) -> dict[str, object]:
    return {"accuracy": balanced, "balanced_accuracy": balanced, "per_class": {"a": {}, "b": {}}}


def _hits(n: int, right: int) -> np.ndarray:
    return np.arange(n) < right


def test_gate_holds_below_the_floor_and_promotes_above() -> None:
    assert judge(_test(0.6), GateConfig(floor=1.5), None, None).verdict == "hold"
    assert judge(_test(0.8), GateConfig(floor=1.5), None, None).verdict == "promote"


@pytest.mark.parametrize(
    "classes, balanced, verdict",
    # Half of the way from chance to 1 for two classes; twice chance for all others.
    [
        *((2, 0.934, "promote"), (2, 0.76, "promote"), (2, 0.74, "hold"), (2, 0.5, "hold")),
        *((3, 0.67, "promote"), (3, 0.66, "hold"), (10, 0.21, "promote"), (10, 0.19, "hold")),
    ],
)
def test_a_good_model_reaches_the_floor_whatever_the_number_of_classes(
    classes: int, balanced: float, verdict: str
) -> None:
    test = {"balanced_accuracy": balanced, "per_class": {str(n): {} for n in range(classes)}}
    assert judge(test, GateConfig(), None, None).verdict == verdict


def test_a_floor_that_is_set_is_the_floor() -> None:
    assert judge(_test(0.9), GateConfig(floor=1.9), None, None).verdict == "hold"
    assert judge(_test(0.96), GateConfig(floor=1.9), None, None).verdict == "promote"
    assert judge(_test(0.99), GateConfig(floor=2.0), None, None).verdict == "hold"


@pytest.mark.parametrize(
    "clips, words",
    [
        ((4, 3), "7 clips, 3 of 'b'"),
        ((96, 4), "100 clips, 4 of 'b'"),
        ((25, 25), ""),
        ((1, 0), "1"),
    ],
)
def test_a_test_split_too_small_to_say_much_is_a_warning(
    clips: tuple[int, int], words: str
) -> None:
    classes = dict(zip("ab", ({"clips": n} for n in clips), strict=True))
    test = {"balanced_accuracy": 1.0, "per_class": classes}
    verdict = judge(test, GateConfig(), None, None)
    assert verdict.verdict == "promote"
    assert words in verdict.warning and bool(words) == bool(verdict.warning)
    assert ("warning" in verdict.plain()) == bool(words)


def test_gate_holds_what_is_not_finite() -> None:
    verdict = judge(_test(float("nan")), ANY, None, None)
    assert (verdict.verdict, verdict.reason) == ("hold", "a measure is not finite")


@pytest.mark.parametrize(
    "mine, champions, verdict",
    [(90, 90, "promote"), (95, 80, "promote"), (80, 95, "hold"), (89, 91, "promote")],
)
def test_gate_compares_on_the_same_clips(mine: int, champions: int, verdict: str) -> None:
    found = judge(_test(mine / 100), ANY, _hits(100, mine), _hits(100, champions))
    assert found.verdict == verdict
    assert found.numbers["clips_lost"] - found.numbers["clips_won"] == champions - mine


def test_mcnemar_against_binomial() -> None:
    from scipy.stats import binomtest

    for lost, won in [(0, 0), (1, 0), (7, 3), (3, 7), (20, 20)]:
        expected = binomtest(lost, lost + won, alternative="greater").pvalue if lost + won else 1
        assert mcnemar(lost, won) == pytest.approx(expected)
