"""`--cache URI` of `audiostyle run` and `train`."""

from pathlib import Path

import pytest
from test_cli import audiostyle

from audiostyle.store import open_store
from components.preprocess import cache
from pipeline import settings
from pipeline.commands.options import with_cache

CONFIG = """
preprocess: {max_failures: 0, cache: elsewhere}
train: {epochs: 1, batch: 4, network: {bands: 32, channels: [4, 8, 8, 8]}}
gate: {floor: 1}
"""


@pytest.mark.slow
def test_train_keeps_spectrograms_there(data: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = audiostyle(
        "train", data, "--config", "config.yaml", "--cache", "spectrograms", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    reasons = [reason for _, reason in cache.verify(open_store(tmp_path / "spectrograms"))]
    assert reasons == [""] * 18
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments, words",
    [
        (["run", "--runner", "docker", "--cache", "spectrograms"], "is no bucket"),
        (["run", "--cache", "s3://user:hidden@bucket/spectrograms"], "cache"),
        (["train", ".", "--cache", "s3://user:hidden@bucket/spectrograms"], "cache"),
    ],
)
def test_what_cannot_be_a_cache_is_refused(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    done = audiostyle(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "hidden" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not any(tmp_path.iterdir())


def test_of_settings_nothing_else_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    given = settings.load(tmp_path / "config.yaml")
    assert with_cache(given, None) == given
    for uri, place in (
        ("s3://b/p", "s3://b/p"),
        ("spectrograms", str(tmp_path / "spectrograms")),
        ("", ""),
    ):
        changed = with_cache(given, uri)
        assert changed.preprocess.cache == place
        assert with_cache(changed, "") == with_cache(given, "")
