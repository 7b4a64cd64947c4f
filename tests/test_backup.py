"""`audiostyle backup` and `restore`: whole while in use, refused when damaged, used elsewhere."""

import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import made_sets
import pytest
from click.testing import CliRunner, Result

from audiostyle.registry import Registry
from components.train.gate import GateConfig
from components.train.register import register
from components.train.train import train
from pipeline.cli import main


def audiostyle(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a classifier, a link to the newest result, and what no backup holds."""
    folder = tmp_path_factory.mktemp("original")
    workspace = folder / "outputs"
    made_sets.write(folder / "set", made_sets.split_clips(2, 1, 1))
    train(folder / "set", folder / "model", made_sets.training(epochs=1))
    register(
        folder / "model",
        folder / "set",
        f"sqlite:///{workspace / 'mlflow.db'}",
        GateConfig(),
    )
    result = workspace / "pipeline" / "run" / "audio"
    result.mkdir(parents=True)
    (result / "report.html").write_text("report")
    (workspace / "latest").symlink_to(result.resolve(), target_is_directory=True)
    (workspace / "elsewhere").symlink_to("/etc/hostname")
    for left_out in ("stack/env", "data/esc10/a.wav", "pipeline/.kfp_cache/key.json"):
        (workspace / left_out).parent.mkdir(parents=True, exist_ok=True)
        (workspace / left_out).write_text("secret-of-the-stack")
    (workspace / ".mlflow.db.lock").touch()
    os.mkfifo(workspace / "pipe")
    return workspace


@pytest.fixture(scope="session")
def file(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("backup") / "workspace.tar.gz"
    done = audiostyle("backup", made, "--workspace", original)
    assert done.exit_code == 0, done.output
    return made


def names(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def test_a_workspace_comes_back_elsewhere(original: Path, file: Path, tmp_path: Path) -> None:
    """With the original gone: the model is read from where it lies now."""
    aside = original.with_name("aside")
    original.rename(aside)
    try:
        done = audiostyle("restore", file, "--workspace", tmp_path / "new place #2")
        assert done.exit_code == 0, done.output
        registry = Registry(f"sqlite:///{tmp_path / 'new place #2' / 'mlflow.db'}")
        (registered,) = registry.versions()
        model = registry.download(registered, tmp_path / "model")
    finally:
        aside.rename(original)
    workspace = tmp_path / "new place #2"
    assert (model / "weights.safetensors").is_file()
    assert (workspace / "latest" / "report.html").read_text() == "report"
    assert not (workspace / "latest").readlink().is_absolute()
    expected = {
        name
        for name in names(original)
        if not name.startswith(("stack", "data", "pipeline/.kfp_cache"))
    } - {"elsewhere", "pipe", ".mlflow.db.lock"}
    assert names(workspace) - {".mlflow.db.lock"} == expected
    for name in expected - {"mlflow.db", "latest"}:
        assert (workspace / name).read_bytes() == (original / name).read_bytes()


def test_no_secret_of_the_stack_is_in_it(file: Path) -> None:
    assert b"secret-of-the-stack" not in gzip.decompress(file.read_bytes())
    assert file.stat().st_mode & 0o077 == 0


def test_data_where_asked_for(original: Path, tmp_path: Path) -> None:
    made = tmp_path / "all.tar"
    assert audiostyle("backup", made, "--workspace", original, "--data").exit_code == 0
    done = audiostyle("restore", made, "--workspace", tmp_path / "new")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "new" / "data" / "esc10" / "a.wav").is_file()
    assert not (tmp_path / "new" / "stack").exists()


WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60)
database.execute("CREATE TABLE pairs (a INTEGER, b INTEGER, filling TEXT)")
database.commit()
print("begun", flush=True)
for number in range(10**9):
    with database:
        database.execute("INSERT INTO pairs VALUES (?, ?, ?)", (number, 0, "x" * 2000))
        database.execute("UPDATE pairs SET b = ?", (number,))
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_that_is_written_to(tmp_path: Path, mode: str) -> None:
    """Every copy is one moment of it: all rows are of one transaction."""
    database = tmp_path / "work" / "other.db"
    database.parent.mkdir()
    with closing(sqlite3.connect(database)) as opened:
        opened.execute(f"PRAGMA journal_mode={mode}")
    words = [sys.executable, "-c", WRITER, str(database)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout and writer.stdout.readline() == "begun\n"
            for attempt in range(3):
                made = tmp_path / f"{attempt}.tar"
                done = audiostyle("backup", made, "--workspace", database.parent)
                assert done.exit_code == 0, done.output
        finally:
            writer.kill()
    for attempt in range(3):
        new = tmp_path / f"new{attempt}"
        done = audiostyle("restore", tmp_path / f"{attempt}.tar", "--workspace", new)
        assert done.exit_code == 0, done.output
        assert names(new) == {"other.db"}
        with closing(sqlite3.connect(new / "other.db")) as opened:
            (most, least, last) = opened.execute(
                "SELECT max(a), min(b), max(b) FROM pairs"
            ).fetchone()
        assert most == least == last


def test_nothing_is_overwritten(original: Path, file: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.tar"
    taken.write_text("mine")
    done = audiostyle("backup", taken, "--workspace", original)
    assert (done.exit_code, taken.read_text()) == (2, "mine")
    assert "exists already" in done.output
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    for workspace in (full, full / "mine"):
        done = audiostyle("restore", file, "--workspace", workspace)
        assert done.exit_code == 2
        assert "holds something already" in done.output
    assert names(full) == {"mine"}
    (tmp_path / "empty").mkdir()
    assert audiostyle("restore", file, "--workspace", tmp_path / "empty").exit_code == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("outputs/inside.tar", "inside the workspace"),
        ("backup.zip", "ends in .tar, .tar.gz or .tgz"),
        ("no/such/folder.tar", "is no folder"),
    ],
)
def test_targets_that_are_refused(original: Path, target: str, message: str) -> None:
    done = audiostyle("backup", original.parent / target, "--workspace", original)
    assert done.exit_code == 2
    assert message in done.output


def test_what_is_no_file_is_not_waited_for(original: Path, tmp_path: Path) -> None:
    for source, words in (
        (original / "pipe", "must be a plain file"),
        (original, "must be a plain file"),
        (tmp_path / "none.tar", "is no file"),
    ):
        done = audiostyle("restore", source, "--workspace", tmp_path / "new")
        assert done.exit_code == 2 and words in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(original: Path, tmp_path: Path) -> None:
    limit = (original / "mlflow.db").stat().st_size + 100_000
    program = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from pipeline.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    target = tmp_path / "b.tar"
    words = [sys.executable, "-c", program, "backup", str(target), "--workspace", str(original)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"backup: [Errno 27] File too large: '{target}'\n"
    assert list(tmp_path.iterdir()) == []


def test_no_workspace(tmp_path: Path) -> None:
    done = audiostyle("backup", tmp_path / "b.tar", "--workspace", tmp_path / "none")
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_makes_no_backup(original: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    workspace.mkdir()
    shutil.copy(original / "mlflow.db", workspace)
    with (workspace / "mlflow.db").open("r+b") as opened:
        opened.truncate(100_000)
    done = audiostyle("backup", tmp_path / "b.tar", "--workspace", workspace)
    assert done.exit_code == 1
    assert "mlflow.db" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {"work"}


def test_every_beginning_of_a_backup_is_refused(file: Path, tmp_path: Path) -> None:
    whole = gzip.decompress(file.read_bytes())
    for size in (0, 1, 511, 512, 700, len(whole) // 3, len(whole) // 2, len(whole) - 11_000):
        part = tmp_path / "part.tar"
        part.write_bytes(whole[:size])
        done = audiostyle("restore", part, "--workspace", tmp_path / "new")
        assert done.exit_code == 2, (size, done.output)
        assert "Traceback" not in done.output
        assert not (tmp_path / "new").exists()
    packed = file.read_bytes()
    for size in (2, 20, len(packed) // 2, len(packed) - 300):
        part = tmp_path / "part.tar.gz"
        part.write_bytes(packed[:size])
        done = audiostyle("restore", part, "--workspace", tmp_path / "new")
        assert done.exit_code == 2, (size, done.output)
    assert {path.name for path in tmp_path.iterdir()} == {"part.tar", "part.tar.gz"}


def test_a_changed_byte_is_noticed(file: Path, tmp_path: Path) -> None:
    content = bytearray(gzip.decompress(file.read_bytes()))
    content[content.index(b"report", 2000)] ^= 1
    changed = tmp_path / "changed.tar"
    changed.write_bytes(content)
    done = audiostyle("restore", changed, "--workspace", tmp_path / "new")
    assert done.exit_code == 2, done.output
    assert not (tmp_path / "new").exists()


def forged(path: Path, fill: Callable[[tarfile.TarFile, dict[str, str]], None]) -> Path:
    """A backup with other members between a right beginning and a right end."""
    hashes: dict[str, str] = {}
    with tarfile.open(path, "w") as archive:
        add(
            archive, "backup.json", json.dumps({"format": "audiostyle/backup", "format_version": 1})
        )
        fill(archive, hashes)
        add(archive, "hashes.json", json.dumps(hashes))
    return path


def add(archive: tarfile.TarFile, name: str, text: str, **more: object) -> str:
    member = tarfile.TarInfo(name)
    member.size = len(text.encode())
    for key, value in more.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(text.encode()))
    return hashlib.sha256(text.encode()).hexdigest()


def _escaping(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    hashes["../../escaped"] = add(archive, "workspace/../../escaped", "x")


def _absolute(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    add(archive, "/tmp/escaped", "x")  # noqa: S108


def _link_out(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    add(archive, "workspace/link", "", type=tarfile.SYMTYPE, linkname="../..")


def _link_by_a_link(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    hashes["a/b/c/file"] = add(archive, "workspace/a/b/c/file", "x")
    add(archive, "workspace/a/b/c/x", "", type=tarfile.SYMTYPE, linkname="../../..")
    add(archive, "workspace/a/b/c/x/l", "", type=tarfile.SYMTYPE, linkname="../../..")


def _file_by_a_link(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    add(archive, "workspace/dir", "", type=tarfile.SYMTYPE, linkname="/tmp")  # noqa: S108
    hashes["dir/escaped"] = add(archive, "workspace/dir/escaped", "x")


def _hard_link(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    add(archive, "workspace/passwd", "", type=tarfile.LNKTYPE, linkname="/etc/passwd")


def _device(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    add(archive, "workspace/null", "", type=tarfile.CHRTYPE, devmajor=1, devminor=3)


def _twice(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    add(archive, "workspace/a", "1")
    hashes["a"] = add(archive, "workspace/a", "2")


def _below_a_file(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    hashes["a"] = add(archive, "workspace/a", "1")
    hashes["a/b"] = add(archive, "workspace/a/b", "2")


def _unlisted(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    add(archive, "workspace/a", "1")


def _missing(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
    hashes["a"] = "0" * 64


@pytest.mark.parametrize(
    "fill",
    [
        *(_escaping, _absolute, _link_out, _link_by_a_link, _file_by_a_link, _hard_link, _device),
        *(_twice, _below_a_file, _unlisted, _missing),
    ],
)
def test_forged_backups_are_refused(
    tmp_path: Path, fill: Callable[[tarfile.TarFile, dict[str, str]], None]
) -> None:
    path = forged(tmp_path / "forged.tar", fill)
    done = audiostyle("restore", path, "--workspace", tmp_path / "below" / "new")
    assert done.exit_code == 2, done.output
    assert len(done.output.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "below", path]


def test_times_that_no_file_system_keeps(tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile, hashes: dict[str, str]) -> None:
        hashes["a"] = add(archive, "workspace/a", "1", mtime=-1e300)
        hashes["b"] = add(archive, "workspace/b", "1", mtime=1e300, mode=0)

    done = audiostyle("restore", forged(tmp_path / "f.tar", fill), "--workspace", tmp_path / "new")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "new" / "b").stat().st_mode & 0o777 == 0o600


def test_of_a_later_release(tmp_path: Path) -> None:
    path = tmp_path / "later.tar"
    with tarfile.open(path, "w") as archive:
        add(
            archive, "backup.json", json.dumps({"format": "audiostyle/backup", "format_version": 2})
        )
    done = audiostyle("restore", path, "--workspace", tmp_path / "new")
    assert done.exit_code == 2
    assert "format version 2" in done.output
