"""What reaches a terminal: no steering characters, no secrets, and quiet ends of pipes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DEADLINE

from audiostyle import terminal
from audiostyle.uris import require_no_secret, shown_address, without_secrets

STEERING = "\x1b\x07\x08\x7f\x85\x9b\u061c\u200e\u202e\u2028\u2066\ufeff\U000e0041\ud800"
EVIL = "a" + "b".join(STEERING)


def run(
    *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "pipeline.cli", *arguments]
    root = Path(__file__).resolve().parent.parent
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env={**os.environ, "PYTHONPATH": str(root), **(env or {})},
        cwd=cwd,
        check=False,
    )


def steers(text: str) -> bool:
    return any(sign in text for sign in STEERING)


def test_nothing_steers_and_writing_stays_readable() -> None:
    assert not steers(terminal.printable(EVIL))
    assert terminal.printable("\x9b\u202e\x7f") == r"\x9b\u202e\x7f"
    for text in ("naïve 日本語 עברית", "\N{WOMAN}\u200d\N{ROCKET}", "12\u00a0Hz", "a\\b 'c'"):
        assert terminal.printable(text) == text
    assert terminal.printable("a\n  b\nc\r\td", lines=True) == r"a" + "\n" + r"  b\nc\r\td"
    assert terminal.printable("a\n  b") == r"a\n  b"
    assert len(terminal.printable("x" * 10**6)) < 5000


def test_every_way_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.say(EVIL)
    terminal.say(EVIL, error=True)
    terminal.say_fields([(EVIL, EVIL)])
    terminal.say_table([("name", EVIL), (EVIL, "x"), ("y\nz", "")])
    terminal.say_error(EVIL, f"{EVIL}\n  {EVIL}")
    terminal.say_json({"a": [EVIL, 'https://me:p4ss@h/?b="c&token=p4ss']})
    out, err = capfd.readouterr()
    assert not steers(out + err) and "p4ss" not in out
    assert json.loads(out.splitlines()[-1])["a"][0] == EVIL
    assert r"y\nz" in out
    assert len(err.splitlines()) == 3


def test_the_log_passes_through_the_door() -> None:
    program = (
        "import logging, sys\nfrom audiostyle.terminal import log_to_stderr\nlog_to_stderr()\n"
        "logging.getLogger('x').warning('file %s', sys.argv[1])\n"
        "try:\n    raise ValueError(sys.argv[1])\n"
        "except ValueError:\n    logging.exception('failed')\n"
    )
    text = "a\x9b\u202e\x7fb https://me:pass@host/?X-Amz-Signature=abc"
    done = subprocess.run(
        [sys.executable, "-c", program, text], capture_output=True, text=True, check=True
    )
    assert r"a\x9b\u202e\x7fb https://host/?X-Amz-Signature=…" in done.stderr
    assert not steers(done.stderr) and "pass" not in done.stderr and "abc" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("stylize", f"no-such{EVIL[:20]}.wav", "b.wav", "-o", "c.wav"),
        (f"no-such-command{EVIL[:20]}",),
        ("cache", "prune", "x", f"--older-than={EVIL[:20]}"),
        ("cache", "stat", f"ftp://{EVIL[:20]}"),
    ],
)
def test_errors_of_commands_and_of_click(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode in (1, 2), done.stderr
    assert not steers(done.stdout + done.stderr)
    assert r"\x1b" in done.stderr


@pytest.mark.parametrize("closed", [(0, 1, 2), (2,), (1,)])
def test_streams_that_are_closed(closed: tuple[int, ...], tmp_path: Path) -> None:
    """As below some daemons: a display of stages asked a stream that there was not."""
    program = (
        "import os, sys\n"
        "from pipeline.cli import main\n"
        "from pipeline.run_display import Display\n"
        "@main.command()\n"
        "def probe():\n"
        "    Display().end('stage', failed=False)\n"
        "    print('x', file=sys.stderr)\n"
        "    print('x')\n"
        f"    file = open({str(tmp_path / 'out')!r}, 'w')\n"
        "    file.write(str(file.fileno() > 2))\n"
        "main(['probe'])\n"
    )
    words = " ".join(f"{number}>&-" for number in closed)
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {words}', sys.executable, program],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_text() == "True"


def test_a_terminal_of_few_characters(tmp_path: Path) -> None:
    """What it lacks is spelled out; it ended the command with a traceback."""
    for encoding in ("latin-1", "ascii", "cp437"):
        done = run("stylize", "--help", env={"PYTHONIOENCODING": encoding}, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "--contents GLOB" in done.stdout


PASSWORDS = ("p4ss", "p/4ss", "p#4ss", "p?4ss", "p@4ss", "p:4ss", "p%204ss")


@pytest.mark.parametrize("password", PASSWORDS)
def test_addresses_are_printed_without_secrets(password: str) -> None:
    for address in (
        f"http://me:{password}@host:8333/x",
        f"https://me:{password}@host/x",
        f"postgresql://me:{password}@host/x",
        f"https://host/x?X-Amz-Signature={password.replace('#', '')}&part=1",
        f"https://host/x#access_token={password.replace('#', '')}",
    ):
        for text in (shown_address(address), without_secrets(f"no answer from <{address}>: gone")):
            assert "4ss" not in text, address
            assert "host" in text and "/x" in text
    with pytest.raises(Exception, match="user, password") as caught:
        require_no_secret("uri", f"http://me:{password}@host/x")
    assert "4ss" not in str(caught.value)


def test_addresses_without_secrets_are_printed_as_they_are() -> None:
    for address in (
        "https://host:8080/#/runs/details/1234",
        "s3://bucket/take #1/why?.wav",
        "s3://bucket/a@b/c?d=e&f",
        "https://host/a@b.zip",
        "http://[::1]:5000/x",
        "/data/a?b=c@d.wav",
        "file:///data/a%20b",
        "C://x",
    ):
        assert shown_address(address) == address
        require_no_secret("uri", address)


def test_errors_of_urllib3_lose_the_signature() -> None:
    text = (
        "HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url:"
        " /b/k?X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=5ec7e7 (Caused by x)"
    )
    shown = without_secrets(text)
    assert "5ec7e7" not in shown and "AKIA" not in shown
    assert "/b/k?X-Amz-Credential=…&X-Amz-Signature=… (Caused by x)" in shown


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(
    "address", ["http://me:s3cr3t@127.0.0.1:1", "http://me:s3/cr#3t@127.0.0.1:1"]
)
def test_a_password_in_the_endpoint_is_not_printed(name: str, address: str, tmp_path: Path) -> None:
    env = {name: address, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}
    env |= {"AWS_MAX_ATTEMPTS": "1", "AWS_DEFAULT_REGION": "us-east-1"}
    for extra in ((), ("--debug",)):
        done = run("cache", "stat", "s3://bucket/x", *extra, env=env, cwd=tmp_path)
        assert done.returncode in (1, 2)
        assert "cr3t" not in done.stderr and "#3t" not in done.stderr
        assert "s3://bucket/x" in done.stderr
        assert ("Traceback" in done.stderr) == bool(extra)


@pytest.mark.slow
def test_a_pipe_that_is_closed_before_the_first_line(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    root = Path(__file__).resolve().parent.parent
    for arguments, streams in (
        (["--help"], {"stdout": write}),
        (["data", "list"], {"stdout": write}),
        (["nothing"], {"stderr": write}),
        (["cache", "stat", "s3://"], {"stderr": write}),
    ):
        command = [sys.executable, "-m", "pipeline.cli", *arguments]
        done = subprocess.run(
            command,
            stdout=streams.get("stdout", subprocess.PIPE),
            stderr=streams.get("stderr", subprocess.PIPE),
            env={**os.environ, "PYTHONPATH": str(root)},
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 141, (arguments, done.stderr)
        assert not done.stdout and not done.stderr
    os.close(write)


def test_a_log_to_a_closed_pipe_ends_the_program() -> None:
    program = (
        "import logging\nfrom audiostyle.terminal import log_to_stderr\nlog_to_stderr()\n"
        "while True:\n    logging.warning('line')\n"
    )
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-c", program], stderr=write, check=False, timeout=DEADLINE
    )
    os.close(write)
    assert ended.returncode == 141


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--help",), ("data", "list")])
def test_a_full_disk_for_what_is_printed_is_an_error_in_one_line(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    root = Path(__file__).resolve().parent.parent
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "No space left" in done.stderr
