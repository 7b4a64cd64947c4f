"""The stylization pipeline, run here: a registered classifier, pairs in shards."""

import shutil
from pathlib import Path

import pytest

from audiostyle import artifacts
from audiostyle.errors import InputError
from components.train.fetch import fetch
from components.train.gate import GateConfig
from components.train.register import register
from pipeline import images, local, versions
from pipeline.definitions import stylization


@pytest.fixture(scope="module")
def registry(
    empty_database: Path,
    classifier: Path,
    spectrograms: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{shutil.copy(empty_database, folder / 'mlflow.db')}"
    register(classifier, spectrograms, uri, GateConfig(floor=1.0), {})
    return uri


def test_a_registered_classifier_is_given_out(
    registry: str, classifier: Path, tmp_path: Path
) -> None:
    assert fetch("champion", registry, tmp_path / "model") == fetch("1", registry, tmp_path / "2")
    opened = artifacts.opening(tmp_path / "model", artifacts.CLASSIFIER)
    assert opened.digest == artifacts.opening(classifier, artifacts.CLASSIFIER).digest
    with pytest.raises(InputError, match="no such version"):
        fetch("9", registry, tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_shards_make_every_pair_once(registry: str, pairs: Path, tmp_path: Path) -> None:
    local.run(
        stylization.build(images.local_of, shards=2, parallelism=2),
        {
            "pairs": str(pairs),
            "tracking_uri": registry,
            "pairs_version": versions.of_pairs(pairs),
            "stylize_config": {"iterations": 2},
            "reconstruct_config": {"iterations": 2},
        },
        tmp_path,
    )
    sets = [
        path.parent
        for path in tmp_path.rglob("manifest.json")
        if '"audiostyle/audio-set"' in path.read_text(encoding="utf-8")
    ]
    made = sorted([wav.name for wav in folder.glob("*.wav")] for folder in sets)
    assert made == [["mono.wav"], ["stereo.wav"]]
    stylized = [path for path in tmp_path.rglob("items.jsonl") if "losses" in path.read_text()]
    models = {row["settings"]["model"] for path in stylized for row in artifacts.read_table(path)}
    assert models == {"models:/audio-style-classifier/1"}
