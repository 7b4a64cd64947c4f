"""From words to settings: which of option, environment, file and default wins, in every command."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pydantic import Field

from audiostyle.artifacts import digest_of
from audiostyle.command import Command
from audiostyle.config import NO_EFFECT, Config
from audiostyle.errors import InputError
from audiostyle.options import config_from, config_options, overlay, setting_options, values_from
from audiostyle.spectrogram_config import SpectrogramConfig
from components.preprocess.cache import settings_digest
from components.preprocess.config import CutConfig, PreprocessConfig
from components.train.retraining import SETTINGS, recipe
from pipeline.bulk.ledger import VERSION, key_of
from pipeline.cli import main
from pipeline.cluster_config import ConnectionSettings
from pipeline.settings import Settings


class Inner(Config):
    depth: int = Field(1, ge=0, json_schema_extra={"envvar": "TEST_DEPTH"})


class Toy(Config):
    inner: Inner = Inner()
    size: int = Field(2, json_schema_extra={"envvar": "TEST_SIZE"})
    name: str = Field("default", json_schema_extra={"envvar": "TEST_NAME"})
    device: str = Field("auto", json_schema_extra=NO_EFFECT)
    layers: tuple[str, ...] = ("a", "b")


def _chosen(tmp_path: Path, arguments: list[str], env: dict[str, str], file: str | None) -> Toy:
    chosen: list[Toy] = []

    @click.command(cls=Command)
    @config_options(Toy)
    def command(**options: Any) -> None:
        chosen.append(config_from(Toy, options))
        assert not options, "every option was taken"

    if file is not None:
        path = tmp_path / "toy.yaml"
        path.write_text(file)
        arguments = [*arguments, f"--config={path}"]
    done = CliRunner().invoke(command, arguments, env=env)
    assert done.exit_code == 0, done.output
    return chosen[0]


@pytest.mark.parametrize(
    "option, env, file, expected",
    [
        (None, None, None, "default"),
        (None, None, "file", "file"),
        (None, "env", None, "env"),
        (None, "env", "file", "env"),
        ("option", None, None, "option"),
        ("option", None, "file", "option"),
        ("option", "env", None, "option"),
        ("option", "env", "file", "option"),
    ],
)
def test_precedence(
    option: str | None, env: str | None, file: str | None, expected: str, tmp_path: Path
) -> None:
    numbers = {"default": None, "file": 30, "env": 20, "option": 10}
    toy = _chosen(
        tmp_path,
        [f"--name={option}", f"--size={numbers[option]}", f"--depth={numbers[option]}"]
        if option
        else [],
        {"TEST_NAME": env, "TEST_SIZE": str(numbers[env]), "TEST_DEPTH": str(numbers[env])}
        if env
        else {},
        f"name: {file}\nsize: {numbers[file]}\ninner: {{depth: {numbers[file]}}}\n"
        if file
        else None,
    )
    assert toy.name == expected
    assert (toy.size, toy.inner.depth) == (numbers[expected] or 2, numbers[expected] or 1)


@pytest.mark.parametrize("text", ["010", "1_0", "yes", "#1", "a: b", "[x]", "~", "null", "", "'"])
def test_text_is_taken_as_it_is_written(text: str, tmp_path: Path) -> None:
    assert _chosen(tmp_path, [f"--name={text}"], {}, None).name == text


def test_lists_and_inner_tables_are_merged_field_by_field(tmp_path: Path) -> None:
    toy = _chosen(tmp_path, ["--layers=[c]", "--size=5"], {}, "inner: {depth: 7}\nname: x\n")
    assert toy == Toy(inner=Inner(depth=7), size=5, name="x", layers=("c",))
    settings = overlay(Toy(size=3), {"setting__inner__depth": "4"})
    assert settings.model_fields_set == {"size", "inner"}


def test_two_options_of_one_name_are_an_error_of_the_program() -> None:
    class Other(Config):
        size: int = 1

    with pytest.raises(ValueError, match="--size: two options"):
        setting_options(Toy)(setting_options(Other)(lambda **options: None))
    with pytest.raises(ValueError, match="Toy has no field sise"):
        setting_options(Toy, "sise")


def test_a_home_folder_that_the_shell_leaves_to_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shells make `~/x` a path where a word begins with it, but not in `--workspace=~/x`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, folder in (("~/none", f"{tmp_path}/none"), ("x~/none", "x~/none")):
        done = CliRunner().invoke(main, ["models", "list", f"--workspace={value}"])
        assert f"workspace: {folder} has no registry yet" in done.stderr


def test_an_address_with_one_slash_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`s3:/bucket/x` wrote into a folder `s3:`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"x")
    (tmp_path / "m.csv").write_text("id,content,style\na,s3:/bucket/a.wav,a.wav\n")
    for words in (
        ("a.wav", "a.wav", "-o", "s3:/bucket/c.wav"),
        ("s3:/bucket/a.wav", "a.wav", "-o", "c.wav"),
        ("--contents", "*.wav", "--styles", "*.wav", "--out", "s3:/bucket/out"),
        ("--manifest", "m.csv", "--out", "out"),
    ):
        done = CliRunner().invoke(main, ["stylize", *words])
        assert done.exit_code == 2 and "s3:/bucket/" in done.stderr, done.output
        assert "s3://bucket/" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "m.csv"}


def test_an_error_names_option_and_value() -> None:
    with pytest.raises(InputError, match=r"options: size: .*'x'"):
        overlay(Toy(), {"setting__size": "x"})
    with pytest.raises(InputError, match=r"options: size: is not YAML.*'\['"):
        values_from(Toy, {"setting__size": "["})


def test_the_names_of_every_command_s_options_differ() -> None:
    def walk(command: click.Command, path: str) -> None:
        names = [name for p in command.params for name in (*p.opts, *p.secondary_opts)]
        assert len(names) == len(set(names)), path
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{path} {name}")

    walk(main, "audiostyle")


@pytest.mark.parametrize("config", [ConnectionSettings])
def test_a_connection_takes_its_environment(
    config: type[Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    @setting_options(config)
    def command(**options: Any) -> None:
        click.echo(overlay(config.parse({"host": "http://file"}, "file"), options).host)  # type: ignore[attr-defined]

    run = CliRunner().invoke
    assert run(command, []).output == "http://file\n"
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://environment")
    assert run(command, []).output == "http://environment\n"
    assert run(command, ["--host", "http://option"]).output == "http://option\n"


# As computed before fields said so themselves: moving code must change no ledger, gate or cache.
def test_digests_of_settings_are_those_of_the_release_before() -> None:
    parts = {"method": "default", "seed": 1}, {"format": "wav", "seed": 2}
    ignored = {"device": "cuda", "batch": 3}, {"title": "x"}
    keys = {
        key_of(settings, {"digest": "m"}, {"content": "a", "style": "b"})
        for settings in (parts, (parts[0] | ignored[0], parts[1] | ignored[1]))
    }
    assert keys == {digest_of([VERSION, *parts, {"digest": "m"}, {"content": "a", "style": "b"}])}
    digests = {
        recipe("c", {"epochs": 5, "network": {"bands": 40}} | more)[SETTINGS]
        for more in ({}, {"device": "cuda"})
    }
    assert digests == {"0680ed8ec2c54827737e9461aaa3ddab0b1fdf99dcc3da1daa73ba5c25b96841"}
    assert settings_digest(SpectrogramConfig(), CutConfig()) == (
        "5f4ba0ef26f831bc9edd88765842b15cd5d52bb88f24328e3e2e735fd019110c"
    )


def test_which_settings_change_no_result() -> None:
    assert Toy.without_effect() == {"device"}
    assert {
        name: type(section).without_effect()
        for name, section in Settings()
        if name != "cluster" and type(section).without_effect()
    } == {
        "preprocess": {"cache", "workers"},
        "train": {"device"},
        "stylize": {"batch", "device", "weights"},
        "reconstruct": {"title"},
    }
    assert PreprocessConfig.decisive({"seed": 1, "workers": 3}) == {"seed": 1}
