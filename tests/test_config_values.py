"""Values of settings are what a person wrote: numbers in decimal, text as text, or an error."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import RATE, tone

from audiostyle.config import Config
from audiostyle.errors import InputError
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from components.train.config import TrainConfig
from pipeline import settings
from pipeline.cli import main

# What YAML 1.1, or pydantic, reads as another number than the one that is written.
DOUBTFUL = [
    "1_000",
    "0x1F",
    "0X1f",
    "0o17",
    "0b11",
    "1:30",
    "190:20:30",
    "1__0",
    "_1",
    "1_",
    "yes",
    "no",
    "on",
    "off",
    "Yes",
    "ON",
    "y",
    "n",
    "true",
    "false",
    "2026-01-02",
    "12:00:00",
    ".inf",
    "-.Inf",
    ".NaN",
    "inf",
    "nan",
    "1,000",
    "１０",
    "١٠",
    "1.5.2",
    "--5",
    "~",
    "[1]",
    "{a:1}",
    "5x",
    "1e",
    "0x",
]
PLAIN = {"010": 10, "050": 50, "0010": 10, "+7": 7, "8": 8, "00": 0, "1e2": 100, "40.0": 40}


@pytest.mark.parametrize("text", DOUBTFUL)
@pytest.mark.parametrize("name, config", [("epochs", TrainConfig), ("iterations", StylizeConfig)])
def test_what_is_no_plain_number_is_refused(
    text: str, name: str, config: type[TrainConfig], tmp_path: Path
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"{name}: {text}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        config.load(path)
    message = str(caught.value)
    assert str(path) in message
    # A bare ~ ends the reading, and is named with its line.
    assert name in message or (text == "~" and "line 1: has a bare ~" in message)


@pytest.mark.parametrize("text", PLAIN)
def test_numbers_are_decimal(text: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(f"epochs: {text}\nseed: {text}\n", encoding="utf-8")
    if PLAIN[text]:
        assert TrainConfig.load(path).epochs == PLAIN[text]
    else:
        with pytest.raises(InputError, match="epochs"):
            TrainConfig.load(path)
    path.write_text(f"seed: {text}\n", encoding="utf-8")
    assert TrainConfig.load(path).seed == PLAIN[text]


def test_a_key_that_comes_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("epochs: 5\nseed: 1\nepochs: 6\n")
    with pytest.raises(InputError, match=r"line 3: has 'epochs' a second time"):
        TrainConfig.load(path)


@pytest.mark.parametrize(
    "config, field, value",
    [
        *((config, "seed", 2**32) for config in (TrainConfig, StylizeConfig, ReconstructConfig)),
        *((config, "seed", -1) for config in (TrainConfig, StylizeConfig, ReconstructConfig)),
        (ReconstructConfig, "momentum", 1.5),
    ],
)
def test_what_a_stage_cannot_compute_with_is_refused_before_it_begins(
    config: type[Config], field: str, value: object
) -> None:
    """A seed beyond what torch takes was a traceback in the middle of the work."""
    with pytest.raises(InputError, match=f"{field}: input should be"):
        config.parse({field: value}, "test")


def test_the_largest_seed_gives_a_result(tmp_path: Path) -> None:
    from audiostyle import transfer

    settings = {"method": "base", "init": "noise", "iterations": 1, "phase_iterations": 1}
    sound = (tone(seconds=0.5), RATE)
    assert transfer(sound, sound, seed=2**32 - 1, **settings)[0].shape == (1, RATE // 2)


def test_a_field_of_several_types_is_named_once() -> None:
    with pytest.raises(InputError) as caught:
        StylizeConfig.parse({"transpose": 100, "strength": 2}, "test")
    assert str(caught.value) == (
        "test: strength: input should be less than or equal to 1 (got 2); transpose: input should"
        " be less than or equal to 36, or input should be 'auto' (got 100)"
    )


def test_a_section_without_lines_is_one_of_defaults(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("stylize:\n  # method: notes\ntrain: {network: null}\n")
    assert settings.load(path) == settings.Settings()
    path.write_text("stylize: [1]\ntrain: {epoch: 3}\n")
    with pytest.raises(InputError) as caught:
        settings.load(path)
    assert str(caught.value) == (
        f"{path}: train.epoch: there is no setting of this name (got 3);"
        " stylize: must be names of settings with their values (got [1])"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("cache", "prune", ".", "--max-gb"),
        ("cache", "prune", ".", "--older-than"),
        ("stylize", "--manifest", "m.csv", "--out", "out", "--dry-run", "--price-per-hour"),
        ("doctor", "--limit"),
        ("try", "--seconds"),
    ],
)
@pytest.mark.parametrize("number", ["nan", "inf", "1e308"])
def test_options_that_are_numbers_are_finite(words: tuple[str, ...], number: str) -> None:
    """`nan` is in no range, and click takes it for one in any; JSON knows neither."""
    done = CliRunner().invoke(main, [*words, number])
    assert done.exit_code == 2, done.output
    assert words[-1] in done.stderr and ("finite" in done.stderr or "range" in done.stderr)


@pytest.mark.parametrize("text, seed", [("010", 10), ("0x10", None), ("1_0", None), ("yes", None)])
def test_options_read_numbers_in_the_same_way(text: str, seed: int | None) -> None:
    import click

    from audiostyle.command import Command
    from audiostyle.options import config_from, config_options

    @click.command(cls=Command)
    @config_options(StylizeConfig)
    def command(**options: object) -> None:
        click.echo(config_from(StylizeConfig, options).seed)

    done = CliRunner().invoke(command, ["--seed", text])
    if seed is None:
        assert done.exit_code == 2 and "seed" in done.output and text in done.output
    else:
        assert done.output == f"{seed}\n"
