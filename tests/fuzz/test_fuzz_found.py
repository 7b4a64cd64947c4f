"""What the fuzz tests have found once, one case each."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from conftest import tone
from fuzzing import Outcome, Warm, attempt, cold, copied, place
from small import agreeing, classifier, small, warm  # noqa: F401, fixtures
from warm import QUICK, SETTINGS

from audiostyle import untrusted
from audiostyle.registry import Registry
from components.train.gate import GateConfig
from components.train.register import register
from pipeline.cli import main


@pytest.mark.parametrize(
    "text, words",
    [
        ("[" * 20_000, "nested too deeply"),
        ('{"a": NaN}', "Out of range"),
        ('{"a": 1e999}', "Out of range"),
        (r'{"a": "\ud800"}', "surrogates not allowed"),
        ("9" * 5000, "integer string conversion"),
    ],
)
def test_json_that_cannot_be_worked_with(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        untrusted.json_value(text)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[" * 5_000, "nested too deeply"),
        ("a: &a [1]\nb: *a\n", "alias"),
        ("a: &a [*a]\n", "alias"),
        ("!!bool x", "x"),
        ("!!timestamp x", "groupdict"),
        ("!!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("9" * 5000, "has a number of 5000 digits"),
    ],
)
def test_yaml_that_cannot_be_worked_with(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        untrusted.yaml_value(text)
    assert "\n" not in str(caught.value)


def test_plain_json_and_yaml_are_read() -> None:
    assert untrusted.json_value('{"ü": [1, 2.5, null, "\\u2028"]}') == {
        "ü": [1, 2.5, None, "\u2028"]
    }
    assert untrusted.yaml_value("a: {b: [1, 2.5, yes]}\n# &c\nc: '*d'\n") == {
        "a": {"b": [1, 2.5, "yes"]},
        "c": "*d",
    }


def _stylize(warm: Warm, folder: Path, small: Path, name: str) -> Outcome:
    (folder / "pairs.csv").write_text(f"id,content,style\nx,{name},{small / 'style.wav'}\n")
    command = ("stylize", "--pairs", "pairs.csv", "--classifier", small / "model", "--out", "out")
    return attempt(warm, folder, *command, *QUICK, out="out", named=name)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1, 999, 2_000_000, 2**31 - 1])
def test_rates_at_which_nothing_is_recorded(rate: int, warm: Warm, small: Path) -> None:
    with place() as folder:
        soundfile.write(folder / "a.wav", tone(seconds=1), 22050)
        content = bytearray((folder / "a.wav").read_bytes())
        content[24:28] = struct.pack("<I", rate)
        (folder / "a.wav").write_bytes(content)
        done = _stylize(warm, folder, small, "a.wav")
    assert done.code == 2 and f"sample rate of {rate} Hz" in done.told


@pytest.mark.slow
def test_a_thousand_channels_fit(warm: Warm, small: Path) -> None:
    """Blocks are as many bytes whatever the channels: a gigabyte is enough for the process."""
    with place() as folder:
        many = np.repeat(tone(seconds=1)[:, None], 1000, 1)
        soundfile.write(folder / "a.wav", many, 22050)
        read = ("preprocess", "--data", "set", "--out", "out", *SETTINGS)
        for label in ("a", "b"):
            (folder / "set" / label).mkdir(parents=True)
            (folder / "set" / label / "x.wav").hardlink_to(folder / "a.wav")
        assert attempt(warm, folder, *read, out="out").code == 0


@pytest.mark.slow
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_samples_beyond_all_measure(subtype: str, warm: Warm, small: Path) -> None:
    with place() as folder:
        soundfile.write(folder / "a.wav", tone(seconds=1) * 1e30, 22050, subtype=subtype)
        done = _stylize(warm, folder, small, "a.wav")
    assert done.code == 2 and "times full scale" in done.told


@pytest.mark.slow
def test_an_error_does_not_steer_the_terminal(warm: Warm, small: Path) -> None:
    with place() as folder:
        (folder / "a.csv").write_text('id,"\x1b[2J\u202e\nnot an error",style\n')
        command = ("stylize", "--pairs", "a.csv", "--classifier", small / "model", "--out", "out")
        done = attempt(warm, folder, *command, out="out", named=r"\x1b[2J\u202e\nnot an error")
    assert "\x1b" not in done.err and "\u202e" not in done.err and done.err.count("\n") == 1


@pytest.mark.slow
def test_tags_of_a_registry_do_not_steer_it_either(registry_uri: str, small: Path) -> None:
    """Whoever reaches the server may set them."""
    register(small / "model", small / "set", registry_uri, GateConfig())
    registry = Registry(registry_uri)
    bad = {"audiostyle.balanced_accuracy": "\x1b[2J", "audiostyle.verdict": "a\nb\u202e"}
    registry.tag(registry.find("1"), bad)
    for command in (["list"], ["show", "1"], ["card", "1"], ["compare", "1", "1"]):
        done = CliRunner().invoke(main, ["models", *command, "--tracking-uri", registry_uri])
        assert done.exit_code == 0, done.output
        assert "\x1b" not in done.output and "\u202e" not in done.output
        if command[0] in ("list", "show"):
            assert r"\x1b[2J" in done.output and r"a\nb\u202e" in done.output


@pytest.mark.slow
def test_an_archive_is_no_part_of_an_artifact(warm: Warm, small: Path) -> None:
    """Half an archive cannot be listed, so nobody knows that there is no pickle in it."""
    with place() as folder:
        bad = copied(small / "model", folder / "bad")
        (bad / "notes").write_bytes(b"PK\x03\x04" + bytes(100) + b"PK\x05\x06" + b"\xff" * 18)
        command = ("stylize", "--pairs", small / "pairs.csv", "--classifier", "bad")
        done = attempt(warm, folder, *command, "--out", "out", out="out", named="notes")
    assert done.code == 2 and "is a pickle" in done.told


@pytest.mark.slow
def test_an_item_of_endless_silence(warm: Warm, small: Path) -> None:
    """So many samples would be written, and fill any disk."""
    with place() as folder:
        bad = copied(small / "stylized", folder / "bad")
        row = json.loads((bad / "items.jsonl").read_text())
        (bad / "items.jsonl").write_text(json.dumps({**row, "samples": 10**12}) + "\n")
        agreeing(bad)
        done = attempt(
            *(warm, folder, "reconstruct", "--stylized", "bad", "--out", "out"),
            out="out",
            named="items.jsonl",
        )
    assert done.code == 2 and "too many or few for its frames" in done.told


@pytest.mark.slow
@pytest.mark.parametrize(
    "command, words",
    [
        (("components.preprocess", "--data", "bad.tar.gz", "--out", "out"), "bad.tar.gz"),
        (("components.preprocess", "--data", "bad.csv", "--out", "out"), "bad.csv"),
        (
            ("pipeline.cli", "stylize", "bad.wav", "bad.wav", "-o", "o.wav", "--model", "m"),
            "bad.wav",
        ),
        (
            ("pipeline.cli", "stylize", "bad.wav", "bad.wav", "-o", "o.wav", "--config", "bad.csv"),
            "b",
        ),
    ],
)
def test_as_a_person_would_run_it(
    command: tuple[str, ...],
    words: str,
    small: Path,
) -> None:
    """In a process that starts from nothing, unlike all others here."""
    with place() as folder:
        copied(small / "model", folder / "m")
        for name in ("bad.tar.gz", "bad.csv", "bad.wav"):
            (folder / name).write_bytes(b"\x00\xff no such thing" * 30)
        before = sorted(folder.rglob("*"))
        done = cold(folder, *command)
        assert done.code == 2
        assert "Traceback" not in done.err and words in done.told
        assert sorted(folder.rglob("*")) == before
