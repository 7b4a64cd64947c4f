"""Methods and their settings from the command line; a long file that was interrupted goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import DEADLINE, RATE, ROOT, files_below, noise, tone

from audiostyle import audio


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", "stylize", *map(str, arguments)]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    notes = [tone(220 * 2 ** (k / 12), seconds=1, harmonics=5, decay=2) for k in range(20)]
    soundfile.write(tmp_path / "long.flac", np.concatenate(notes), RATE)
    soundfile.write(tmp_path / "style.wav", noise(seconds=1), RATE)
    (tmp_path / "quick.yaml").write_text(
        "stylize: {window_seconds: 3, overlap_seconds: 1}\nreconstruct: {iterations: 2}\n"
    )
    return tmp_path


@pytest.mark.slow
def test_an_interrupted_file_goes_on(here: Path, classifier: Path) -> None:
    options = ["--model", classifier, "--config", "quick.yaml", "--method", "trained"]
    options += ["--init", "noise", "--iterations", 40, "--seed", 3, "--style-weight", 5]
    options += ["--optimizer", "lbfgs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = command("long.flac", "style.wav", "-o", "out.wav", *options)
    process = subprocess.Popen(line, cwd=here, env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(files_below(here, "batch-*.safetensors")) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 143
    assert not (here / "out.wav").exists()
    done = subprocess.run(line, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "stylize: going on" in done.stderr
    assert audio.read(here / "out.wav").samples.shape == (1, 20 * RATE)
    # Nothing is left of what was unfinished.
    assert {p.name for p in here.iterdir()} == {"long.flac", "style.wav", "quick.yaml", "out.wav"}


def test_a_wrong_setting_is_explained(here: Path) -> None:
    line = command("long.flac", "style.wav", "-o", "out.wav", "--method", "best")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "method" in done.stderr
    assert "trained" in done.stderr
