"""One pair: all that can be known is looked at first, and addresses are as good as files."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import soundfile
from conftest import DEADLINE, RATE, ROOT, files_below, noise, tone
from seaweedfs import BUCKET, SeaweedFS

from audiostyle import audio
from audiostyle.artifacts import file_digest
from audiostyle.store import open_store
from components.stylize.networks.stacks import build

NO_TEXT = os.fsdecode(b"caf\xe9.wav")  # as ISO 8859-1 writes it
QUICK = ("--method", "trained", "--iterations", "1")
# The command, and then whether what takes seconds to import was imported.
PROGRAM = """
import sys
from pipeline.cli import main
try:
    main(sys.argv[1:])
finally:
    print([name for name in ("torch", "mlflow", "kfp") if name in sys.modules])
"""


def stylize(folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "stylize", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def here(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", tone(seconds=1), RATE)
    soundfile.write(tmp_path / "b.wav", noise(seconds=1), RATE)
    return tmp_path


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _link(folder: Path) -> None:
    (folder / "link.wav").symlink_to("a.wav")


def _hard_link(folder: Path) -> None:
    (folder / "link.wav").hardlink_to(folder / "b.wav")


def _folder(folder: Path) -> None:
    (folder / "out.wav").mkdir()


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.wav")


def _no_text(folder: Path) -> None:
    (folder / "a.wav").rename(folder / NO_TEXT)


def _nine_channels(folder: Path) -> None:
    soundfile.write(folder / "a.wav", np.tile(tone(seconds=1)[:, None], 9), RATE)


def _socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        # A name of a socket has at most 107 bytes; the folder's is longer.
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{descriptor}/socket.wav")
        finally:
            os.close(descriptor)


@pytest.mark.parametrize(
    "prepare, arguments, words",
    [
        (None, ("mistyped.wav", "b.wav", "-o", "c.wav"), "content: mistyped.wav: does not exist"),
        (None, ("a.wav", "mistyped.wav", "-o", "c.wav"), "style: mistyped.wav: does not exist"),
        (None, (".", "b.wav", "-o", "c.wav"), "content: .: is not a file"),
        (_pipe, ("pipe.wav", "b.wav", "-o", "c.wav"), "content: pipe.wav: is not a file"),
        (None, ("/dev/zero", "b.wav", "-o", "c.wav"), "content: /dev/zero: is not a file"),
        (_socket, ("a.wav", "socket.wav", "-o", "c.wav"), "style: socket.wav: is not a file"),
        (_socket, ("a.wav", "b.wav", "-o", "socket.wav"), "is no plain file"),
        (_nine_channels, ("a.wav", "b.wav", "-o", "c.flac"), "format: FLAC holds at most 8"),
        (_no_text, (NO_TEXT, "b.wav", "-o", "c.wav"), "name that is not UTF-8; rename it"),
        (_no_text, ("b.wav", NO_TEXT, "-o", "c.wav"), "name that is not UTF-8; rename it"),
        (None, ("a.wav", "b.wav", "-o", NO_TEXT), "name that is not UTF-8; rename it"),
        (_pipe, ("a.wav", "b.wav", "-o", "c.wav", "--config", "pipe.wav"), "it is not a file"),
        (None, ("a.wav", "b.wav", "-o", "c.wav", "--config", "/dev/zero"), "it is not a file"),
        (None, ("a.wav", "b.wav", "-o", "a.wav"), "is the content"),
        (None, ("a.wav", "b.wav", "-o", "./x/../b.wav"), "is the style"),
        (None, ("a.wav", "b.wav", "-o", "file://{}/a.wav"), "is the content"),
        (_link, ("link.wav", "b.wav", "-o", "a.wav"), "is the content"),
        (_link, ("a.wav", "b.wav", "-o", "link.wav"), "is the content"),
        (_hard_link, ("a.wav", "b.wav", "-o", "link.wav"), "is the style"),
        (_folder, ("a.wav", "b.wav", "-o", "out.wav"), "is a folder"),
        (_pipe, ("a.wav", "b.wav", "-o", "pipe.wav"), "is no plain file"),
        (None, ("a.wav", "b.wav", "-o", "a.wav/c.wav"), "a.wav"),
        (None, ("a.wav", "b.wav", "-o", "x" * 252 + ".wav"), "File name too long"),
        (None, ("a.wav", "b.wav", "-o", "c.mp3"), "c.mp3"),
        (None, ("http://host/a.wav", "b.wav", "-o", "c.wav"), "s3://bucket/key is needed"),
        (None, ("a.wav", "b.wav", "-o", "s3://"), "names no bucket"),
        (None, ("a.wav", "b.wav", "-o", "c.wav", "--iterations", "many"), "iterations"),
        (None, ("a.wav", "b.wav", "-o", "c.wav", "--model", "champion"), "has no models yet"),
    ],
)
def test_what_is_refused_before_any_work(
    prepare: object, arguments: tuple[str, ...], words: str, here: Path
) -> None:
    if callable(prepare):
        prepare(here)
    before = names(here)
    done = stylize(here, *(text.format(here) for text in arguments))
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1 or "Usage" in done.stderr
    assert done.stdout == "[]\n"  # neither torch nor MLflow was imported
    assert names(here) == before


def test_the_model_is_looked_at_before_torch(here: Path, classifier: Path) -> None:
    model = shutil.copytree(classifier, here / "model")
    inside = stylize(here, "a.wav", "b.wav", "-o", "model/c.wav", "--model", "model")
    assert (inside.returncode, inside.stdout) == (2, "[]\n")
    assert "folder of the model" in inside.stderr
    (model / "weights.safetensors").write_bytes(b"other")
    damaged = stylize(here, "a.wav", "b.wav", "-o", "c.wav", "--model", "model")
    assert (damaged.returncode, damaged.stdout) == (2, "[]\n")
    assert "damaged" in damaged.stderr


@pytest.mark.slow
def test_names_as_long_as_they_may_be(here: Path, classifier: Path) -> None:
    name = "y" * 251 + ".wav"
    (here / name).write_bytes(b"an older one, which is replaced")
    done = stylize(here, "a.wav", "b.wav", "-o", name, "--model", classifier, *QUICK)
    assert done.returncode == 0, done.stderr
    assert audio.read(here / name).frames == RATE
    assert names(here) == {"a.wav", "b.wav", name}


@pytest.mark.slow
def test_a_link_at_the_output_is_replaced(here: Path, classifier: Path) -> None:
    (here / "precious.wav").write_bytes(b"precious")
    (here / "c.flac").symlink_to("precious.wav")
    done = stylize(here, "a.wav", "b.wav", "-o", "c.flac", "--model", classifier, *QUICK)
    assert done.returncode == 0, done.stderr
    assert (here / "precious.wav").read_bytes() == b"precious"
    assert not (here / "c.flac").is_symlink()
    assert audio.read(here / "c.flac").frames == RATE


@pytest.mark.slow
@pytest.mark.parametrize("key", ["one.wav", "take#1/why? 50%.wav", "ü/😀.flac"])
def test_from_and_to_a_bucket(key: str, here: Path, classifier: Path, seaweedfs: SeaweedFS) -> None:
    store = open_store(f"s3://{BUCKET}/pair")
    store.put_file("in #1/a?.wav", here / "a.wav")
    content = f"{store.uri}/in #1/a?.wav"
    style = (here / "b.wav").as_uri()
    output = f"{store.uri}/out/{key}"
    done = stylize(here, content, style, "-o", output, "--model", classifier, *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == output
    (here / Path(key).name).write_bytes(store.get(f"out/{key}") or b"")
    assert audio.read(here / Path(key).name).frames == RATE
    (here / Path(key).name).unlink()
    assert names(here) == {"a.wav", "b.wav"}


@pytest.mark.slow
def test_what_is_wrong_with_an_object_names_it(
    here: Path, classifier: Path, seaweedfs: SeaweedFS
) -> None:
    store = open_store(f"s3://{BUCKET}/wrong")
    soundfile.write(here / "silent.wav", np.zeros(RATE), RATE)
    store.put_file("silent.wav", here / "silent.wav")
    (here / "silent.wav").unlink()
    silent = f"{store.uri}/silent.wav"
    for words in (("a.wav", silent), (silent, "b.wav"), ("a.wav", "b.wav", "--style", silent)):
        done = stylize(here, *words, "-o", "c.wav", "--model", classifier, *QUICK)
        assert done.returncode == 2 and f"{silent}: is silent" in done.stderr, done.stderr
    assert names(here) == {"a.wav", "b.wav"}


@pytest.mark.slow
def test_weights_from_a_bucket(here: Path, classifier: Path, seaweedfs: SeaweedFS) -> None:
    stack = build("alexnet")
    safetensors.torch.save_file(stack.state_dict(), here / "w.safetensors")
    digest = file_digest(here / "w.safetensors")
    store = open_store(f"s3://{BUCKET}/weights")
    store.put_file("w.safetensors", here / "w.safetensors")
    store.put_file("a.wav", here / "a.wav")
    (here / "w.safetensors").unlink()
    line = ["a.wav", "b.wav", "-o", "c.wav", "--model", classifier]
    line += ["--method", "pretrained", "--network", "alexnet", "--iterations", 1]
    for name, sha256, words in (
        ("none.safetensors", digest, "there is no such object"),
        ("a.wav", digest, "is not safetensors"),
        ("w.safetensors", "0" * 64, f"expected SHA-256 {'0' * 64}, got {digest}"),
    ):
        more = ("--weights", f"{store.uri}/{name}", "--weights-sha256", sha256)
        refused = stylize(here, *line, *more)
        assert refused.returncode == 2 and words in refused.stderr, refused.stderr
        assert names(here) == {"a.wav", "b.wav"}
    uri = f"{store.uri}/w.safetensors"
    done = stylize(here, *line, "--weights", uri, "--weights-sha256", digest)
    assert done.returncode == 0, done.stderr
    assert names(here) == {"a.wav", "b.wav", "c.wav"}


def test_objects_are_looked_at_first(here: Path, seaweedfs: SeaweedFS) -> None:
    store = open_store(f"s3://{BUCKET}/first")
    store.put_file("a.wav", here / "a.wav")
    for content, output, words in (
        (f"{store.uri}/b.wav", "c.wav", f"content: {store.uri}/b.wav: there is no such object"),
        (f"{store.uri}/a.wav", f"{store.uri}/a.wav", "is the content"),
        (f"{store.uri}/a.wav", f"s3://{BUCKET}//first//a.wav", "is the content"),
        ("a.wav", "s3://no-such-bucket/c.wav", "no bucket"),
        ("a.wav", f"{store.uri}/../c.wav", "output: key"),
        (f"s3://{BUCKET}", "c.wav", "names no object"),
    ):
        done = stylize(here, content, "b.wav", "-o", output)
        assert (done.returncode, done.stdout) == (2, "[]\n"), done.stderr
        assert words in done.stderr
    assert names(here) == {"a.wav", "b.wav"}


@pytest.mark.slow
def test_a_workspace_that_cannot_be_written_is_done_without(here: Path, classifier: Path) -> None:
    """Of a recording of several windows, which are saved there: it ended the call."""
    soundfile.write(here / "long.wav", tone(seconds=5), RATE)
    (here / "s.yaml").write_text("stylize: {window_seconds: 2, overlap_seconds: 1}\n")
    given = ("long.wav", "b.wav", "-o", "c.wav", "--model", classifier, "--config", "s.yaml")
    done = stylize(here, *given, *QUICK, "--workspace", "a.wav/none")
    assert done.returncode == 0, done.stderr
    assert audio.read(here / "c.wav").frames == 5 * RATE
    assert names(here) == {"a.wav", "b.wav", "c.wav", "long.wav", "s.yaml"}


@pytest.mark.slow
def test_what_is_unfinished_is_named(here: Path, classifier: Path) -> None:
    soundfile.write(here / "long.wav", tone(seconds=30), RATE)
    (here / "s.yaml").write_text("stylize: {window_seconds: 3, overlap_seconds: 1}\n")
    given = ("long.wav", "b.wav", "-o", "c.wav", "--model", str(classifier), "--config", "s.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "stylize", *given, "--method", "trained"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 120
    while not files_below(here, "batch-*.safetensors") and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)  # as where the terminal is closed
    _, text = process.communicate(timeout=DEADLINE)
    assert process.returncode == 129
    (folder,) = (here / "outputs" / "unfinished").iterdir()
    assert f"{folder.relative_to(here)}: holds finished work" in text
