"""The command line: what people type, what they get, and the exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from conftest import DEADLINE, RATE, ROOT, tone
from test_audio import unusable

from audiostyle import audio

QUICK = "stylize: {iterations: 5}\nreconstruct: {iterations: 4}\n"


def audiostyle(
    *arguments: object, cwd: Path, **options: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "content.wav", tone(440, harmonics=5, seconds=1.5), RATE)
    soundfile.write(tmp_path / "style.mp3", tone(300, seconds=1), 44100)
    (tmp_path / "quick.yaml").write_text(QUICK)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("output", ["out.wav", "new/out.flac"])
def test_one_pair(here: Path, classifier: Path, output: str) -> None:
    done = audiostyle(
        *("stylize", "content.wav", "style.mp3", "-o", output),
        *("--model", classifier, "--config", "quick.yaml"),
        cwd=here,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == output
    result = audio.read(here / output)
    assert result.sample_rate == RATE
    assert result.samples.shape == (1, round(1.5 * RATE))
    left = {p.name for p in here.iterdir()} - {"content.wav", "style.mp3", "quick.yaml"}
    assert left == {output.split("/")[0]}


@pytest.mark.slow
def test_manifest(here: Path, classifier: Path, pairs: Path) -> None:
    done = audiostyle(
        *("stylize", "--manifest", pairs, "--out", "out"),
        *("--model", classifier, "--config", "quick.yaml"),
        cwd=here,
    )
    assert done.returncode == 0, done.stderr
    assert {"mono.wav", "stereo.wav", "report.html"} <= {p.name for p in (here / "out").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("word", ["empty", "decoded", "silent", "short", "finite", "exist", "file"])
def test_bad_audio_is_named_with_exit_code_2(word: str, here: Path, classifier: Path) -> None:
    bad = unusable(here / "bad")[word]
    before = sorted(here.iterdir())
    done = audiostyle("stylize", bad, "style.mp3", "-o", "out.wav", "--model", classifier, cwd=here)
    assert done.returncode == 2
    assert str(bad) in done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["stylize", "content.wav"], "give CONTENT STYLE -o"),
        (["stylize", "content.wav", "style.mp3", "-o", "out.ogg"], "cannot write .ogg"),
        (["stylize", "content.wav", "style.mp3", "-o", "o.wav", "--config", "bad.yaml"], "stylise"),
        (["stylize", "content.wav", "style.mp3", "-o", "o.wav", "--config", "no.yaml"], "no.yaml"),
        (
            ["stylize", "content.wav", "style.mp3", "-o", "o.wav", "--model", "champion"],
            "has no models yet",
        ),
        (["demo", "--out", "."], "not the folder of an earlier demo"),
        (["demo", "--out", "content.wav"], "not the folder of an earlier demo"),
        (["run", "--data", "nowhere"], "nowhere does not exist"),
        # As of a variable that is not set: it is not the current folder.
        (["run", "--data", ""], "--data': is empty"),
        (["train", ""], "is empty; a path or an address is needed"),
        (["stylize", "content.wav", "", "-o", "o.wav"], "is empty"),
        (["backup", ""], "is empty; a path is needed"),
        (["train", "nowhere"], "nowhere does not exist"),
        (["models", "show", "9"], "no registry yet"),
        (["ui"], "has no registry yet"),
        (["sing"], "No such command"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], words: str, here: Path) -> None:
    (here / "bad.yaml").write_text("stylise: {}\n")
    done = audiostyle(*arguments, cwd=here)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(here.glob("o*.wav"))


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["preprocess", "train", "stylize", "reconstruct"])
def test_stages_have_command_lines(stage: str, tmp_path: Path) -> None:
    run = [sys.executable, "-m", f"components.{stage}"]
    shown = subprocess.run([*run, "--help"], capture_output=True, text=True, check=True)
    assert "--out" in shown.stdout
    assert "[default:" in shown.stdout
    bad = subprocess.run([*run, "--out", "x", "--color", "blue"], capture_output=True, check=False)
    assert bad.returncode == 2


@pytest.mark.slow
def test_stages_one_after_another(data: Path, pairs: Path, tmp_path: Path) -> None:
    """The four stages as command lines, as their containers run them."""

    def stage(name: str, *arguments: object) -> None:
        command = [sys.executable, "-m", f"components.{name}", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    a, b, c, d = (tmp_path / name for name in ("set", "model", "stylized", "audio"))
    stage("preprocess", "--data", data, "--out", a, "--n-fft", 1024, "--hop-length", 256)
    small = ["--epochs", 1, "--bands", 32, "--channels", "[4, 4, 4, 4]", "--crop", 0.7]
    stage("train", "--data", a, "--out", b, *small)
    stage("stylize", "--pairs", pairs, "--classifier", b, "--out", c, "--iterations", 3)
    stage("reconstruct", "--stylized", c, "--out", d, "--classifier", b, "--iterations", 4)
    assert audio.read(d / "stereo.wav").samples.shape == (2, round(1.234 * 44100))
    assert (d / "report.html").is_file()


# What the distribution without its extras does not install, by the names of their modules.
_EXTRAS = (
    *("boto3", "botocore", "docker", "jinja2", "kfp", "kfp_kubernetes", "librosa"),
    *("matplotlib", "mlflow", "numba", "PIL", "pooch", "requests", "soundfile", "soxr", "tabulate"),
)
_PLAIN = (
    "import sys\n"
    f"for name in {_EXTRAS!r}: sys.modules[name] = None\n"
    "from pipeline.cli import main\n"
    "main(prog_name='audiostyle')\n"
)


def plain(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command as `pip install audiostyle`, without an extra, gives it."""
    command = [sys.executable, "-c", _PLAIN, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_without_extras_help_works(here: Path) -> None:
    shown = plain("--help", cwd=here)
    assert shown.returncode == 0, shown.stderr
    commands = [line.split()[0] for line in shown.stdout.split("Commands:\n")[1].splitlines()]
    assert {"run", "stylize", "train", "models", "submit"} <= set(commands)
    each = f"for name in {commands!r}: main([name, '--help'], standalone_mode=False)"
    text = _PLAIN.replace("main(prog_name='audiostyle')", each)
    every = subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert every.returncode == 0, every.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["stylize", "content.wav", "style.mp3", "-o", "out.wav"],
        ["train", "."],
        ["run", "--data", ".", "--pairs", "quick.yaml"],
        ["submit", "train", "--data", "esc10", "--tracking-uri", "http://mlflow:5000"],
        ["runs", "list", "--host", "http://127.0.0.1:9"],
        ["compile", "--out", "out"],
    ],
)
def test_without_extras_an_error_names_what_to_install(arguments: list[str], here: Path) -> None:
    before = sorted(here.iterdir())
    done = plain(*arguments, cwd=here)
    assert done.returncode == 1, done.stderr
    assert "pip install 'audiostyle[pipeline]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(here.iterdir()) == before


@pytest.mark.slow
def test_sigterm_leaves_nothing_half_written(here: Path, classifier: Path) -> None:
    (here / "long.yaml").write_text("stylize: {iterations: 1000000, tolerance: 0}\n")
    before = sorted(here.iterdir())
    command = [sys.executable, "-m", "pipeline.cli", "stylize", "content.wav", "style.mp3"]
    process = subprocess.Popen(
        [*command, "-o", "out.wav", "--model", str(classifier), "--config", "long.yaml"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(here)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    # It is in the middle of its work: it has made its temporary folder, and imports torch.
    while process.poll() is None and sorted(here.iterdir()) == before:
        time.sleep(0.1)
    time.sleep(5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 143
    assert sorted(here.iterdir()) == before
