"""`audiostyle completion`: the script of each shell, and what it completes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("audiostyle")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_read_by_their_shell(shell: str) -> None:
    done = subprocess.run(
        [PROGRAM, "completion", shell], capture_output=True, text=True, check=True
    )
    assert "_AUDIOSTYLE_COMPLETE" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n", "/dev/stdin"], input=done.stdout, text=True, check=True)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("sty", "plain,stylize"),
        ("restore --work", "plain,--workspace"),
        ("stylize mel", "file,mel"),
        ("stylize a.wav b.wav -o ", "file,"),
        ("stylize --manifest p", "file,p"),
        ("train ", "file,"),
        ("stylize --method ver", "plain,verma-smith"),
        ("stylize --init n", "plain,noise"),
        ("data info esc5", "plain,esc50"),
    ],
)
def test_completed_in_bash(typed: str, expected: str) -> None:
    words = ["audiostyle", *typed.split(" ")]
    environment = {
        **os.environ,
        "_AUDIOSTYLE_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run([PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert expected in done.stdout.split(), done.stderr
