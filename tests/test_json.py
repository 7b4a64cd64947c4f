"""Every command that tells something tells it as JSON, too, of a schema that docs/ has."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import made_sets
import pytest
from click.testing import CliRunner
from conftest import ROOT
from json_schemas import SCHEMAS, validated, validator

from pipeline.cli import main

# They print text that is for people, or for a shell, or run a server.
TEXT_ONLY = {"completion", "models card", "runs logs", "try", "ui"}


def commands(group: click.Group = main, above: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        path = f"{above} {name}".strip()
        if isinstance(command, click.Group):
            yield from commands(command, path)
        else:
            yield path, command


def schema_of(command: click.Command) -> str:
    return str(getattr(command.callback, "schema", ""))


def run(schema: str, *words: object, code: int = 0) -> Any:
    """The answer of a command, checked against its schema."""
    done = CliRunner().invoke(main, [*map(str, words), "--json"])
    assert done.exit_code == code, done.output
    return validated(schema, done.stdout)


def test_every_command_has_a_schema_and_the_page_lists_it() -> None:
    page = (ROOT / "docs" / "json.md").read_text()
    names = {schema_of(command) for _, command in commands()} - {""}
    assert {path.name for path in SCHEMAS.iterdir()} == {f"{name}.schema.json" for name in names}
    for name in names:
        validator(name)
        assert f"](schemas/{name}.schema.json)" in page
    silent = {path for path, command in commands() if not schema_of(command)}
    assert silent <= TEXT_ONLY
    for path, command in commands():
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--json" in options) == (path not in TEXT_ONLY)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two versions of a classifier."""
    from components.train.gate import GateConfig
    from components.train.register import register
    from components.train.train import train

    folder = tmp_path_factory.mktemp("json")
    made_sets.write(folder / "set", made_sets.split_clips(2, 1, 1))
    for seed in (0, 1):
        model = folder / f"model-{seed}"
        train(folder / "set", model, made_sets.training(epochs=1, seed=seed))
        address = f"sqlite:///{folder / 'outputs' / 'mlflow.db'}"
        register(model, folder / "set", address, GateConfig())
    return folder / "outputs"


@pytest.mark.slow
def test_models(workspace: Path) -> None:
    where = ("--workspace", workspace)
    listed = run("models-list", "models", "list", *where)
    assert [version["version"] for version in listed] == [2, 1]
    assert run("models-promote", "models", "promote", "1", *where)["champion"] == 1
    assert run("models-promote", "models", "promote", "2", *where) == {"champion": 2, "before": 1}
    assert run("models-show", "models", "show", *where)["aliases"] == ["challenger", "champion"]
    compared = run("models-compare", "models", "compare", "1", "2", *where)
    assert "settings" in compared["differing"]
    assert run("models-rollback", "models", "rollback", *where)["champion"] == 1


@pytest.mark.slow
def test_backup_and_restore(workspace: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    saved = run("backup", "backup", file, "--workspace", workspace)
    restored = run("restore", "restore", file, "--workspace", tmp_path / "new")
    assert saved["files"] == restored["files"] > 5
    assert saved["file"] == str(file)


def test_networks(tmp_path: Path) -> None:
    import torch

    assert "vgg19" in [row["name"] for row in run("networks-list", "networks", "list")]
    torch.save({"weight": torch.zeros(3)}, tmp_path / "a.pth")
    words = ("networks", "convert", tmp_path / "a.pth", tmp_path / "a.safetensors")
    assert run("networks-convert", *words, "--license", "MIT")["tensors"] == 1


def test_data_sets(data: Path, tmp_path: Path) -> None:
    names = [row["name"] for row in run("data-list", "data", "list")]
    assert "esc10" in names
    for name in names:
        assert run("data-info", "data", "info", name)["name"] == name
    archive = shutil.make_archive(str(tmp_path / "recordings"), "zip", data)
    fetched = run("data-fetch", "data", "fetch", f"file://{archive}", "--to", tmp_path / "sets")
    assert Path(fetched["folder"]).is_dir()


def test_the_cache(data: Path, tmp_path: Path) -> None:
    from components.preprocess.preprocess import PreprocessConfig, preprocess

    place = tmp_path / "cache"
    place.mkdir()
    empty = {"objects": 0, "bytes": 0, "oldest": None, "newest": None}
    assert run("cache-stat", "cache", "stat", place) == empty
    preprocess(data, tmp_path / "set", PreprocessConfig(cache=str(place)))
    count = run("cache-stat", "cache", "stat", place)["objects"]
    assert run("cache-verify", "cache", "verify", place)["good"] == count == 18
    one = next(path for path in place.rglob("*") if path.is_file())
    one.write_bytes(one.read_bytes()[:-1])
    damaged = run("cache-verify", "cache", "verify", place, code=1)
    assert (len(damaged["damaged"]), damaged["deleted"]) == (1, False)
    assert run("cache-verify", "cache", "verify", place, "--delete")["deleted"]
    assert run("cache-prune", "cache", "prune", place, "--max-gb", 0)["objects"] == 17


@pytest.mark.slow
def test_stylize(classifier: Path, pairs: Path, tmp_path: Path) -> None:
    settings = tmp_path / "fast.yaml"
    settings.write_text("reconstruct: {iterations: 2}\n")
    how = ("--model", classifier, "--config", settings, "--workspace", tmp_path / "work")
    out = tmp_path / "out"
    a, b = pairs.parent / "a.wav", pairs.parent / "b.flac"
    pair = run("stylize", "stylize", a, b, "-o", tmp_path / "c.wav", *how)
    assert pair["kind"] == "pair" and Path(pair["output"]).is_file()
    many = ("stylize", "--manifest", pairs, "--out", out, *how)
    plan = run("stylize", *many, "--dry-run", "--price-per-hour", 2)
    assert (plan["kind"], plan["to_do"], plan["unmeasured"], plan["cost"]) == ("plan", 2, 2, None)
    job = run("stylize", *many, "--workers", 1)
    assert (job["kind"], job["done"], job["set_aside"]) == ("job", 2, 0)
    plan = run("stylize", *many, "--dry-run", "--price-per-hour", 2)
    assert (plan["done"], plan["to_do"], plan["seconds"], plan["cost"]) == (2, 0, 0, 0)
    (pairs.parent / "noise.wav").write_bytes(b"no sound at all")
    manifest = pairs.parent / "bad.csv"
    manifest.write_text("id,content,style\nbad,noise.wav,b.flac\n")
    failed = ("stylize", "--manifest", manifest, "--out", tmp_path / "other", *how)
    job = run("stylize", *failed, "--workers", 1, code=1)
    assert list(job["failed"]) == ["bad"]


@pytest.mark.slow
def test_compile(tmp_path: Path) -> None:
    paths = run("compile", "compile", "--out", tmp_path)["files"]
    assert len(paths) == 4 and all(Path(path).is_file() for path in paths)


def test_an_error_prints_no_json(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["models", "list", "--json", "--workspace", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stdout == "" and "has no registry yet" in done.stderr
