"""Writing files: whole or not at all, and through no link that somebody else may have made."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from audiostyle import files, files_at
from audiostyle.errors import InputError
from audiostyle.store import FolderStore


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody's, to which links in an output folder lead."""
    folder = tmp_path / "outside"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "mine").write_bytes(b"mine")
    (folder / "mine").write_bytes(b"mine")
    return folder


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _untouched(outside: Path) -> bool:
    names = sorted(path.relative_to(outside).as_posix() for path in outside.rglob("*"))
    contents = {(outside / name).read_bytes() for name in ("mine", "inner/mine")}
    return names == ["inner", "inner/mine", "mine"] and contents == {b"mine"}


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "one\N{PILE OF POO}\r\n")
    assert path.read_bytes() == "one\N{PILE OF POO}\r\n".encode()
    with pytest.raises(ZeroDivisionError), files.replacing(path) as temporary:
        temporary.write_text("two")
        raise ZeroDivisionError
    assert path.read_bytes().startswith(b"one")
    with files.replacing(path, durable=True) as temporary:
        temporary.write_text("three")
    assert path.read_text() == "three"
    assert _names(tmp_path) == ["a.txt"]


def test_new_files_have_the_rights_of_new_files(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    files.write_text(tmp_path / "text", "")
    with files.replacing(tmp_path / "filled"):
        pass
    with files.replacing(tmp_path / "tensors") as temporary:
        safetensors.numpy.save_file({"a": np.zeros(1)}, temporary)
    rights = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(rights) == 1


@pytest.mark.parametrize("name", ["x" * 255, "x" * 251 + ".wav", "é" * 127, "a.tar.gz", "-"])
def test_names_as_long_as_the_system_takes(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    files.write_bytes(path, b"1")
    with files.replacing(path) as temporary:
        # What libraries recognize a format by.
        assert temporary.suffix == (path.suffix or ".tmp")
        temporary.write_bytes(b"2")
    assert path.read_bytes() == b"2"
    assert _names(tmp_path) == [name]


def test_a_folder_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for text in ("one", "two"):
        with files.replacing_folder(folder) as temporary:
            (temporary / text).write_text(text)
        assert _names(folder) == [text]
    with pytest.raises(ZeroDivisionError), files.replacing_folder(folder) as temporary:
        (temporary / "three").touch()
        raise ZeroDivisionError
    assert _names(folder) == ["two"]
    assert _names(tmp_path) == ["set"]


def test_a_killed_writer_leaves_the_old_file_and_what_can_be_recognized(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_text(path, "old")
    program = (
        "import os, signal, sys, tempfile\nfrom audiostyle import files\n"
        "with files.replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('ne')\n"
        "    tempfile.mkstemp(dir=temporary.parent)  # as safetensors does\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(_names(tmp_path)) == 2
    files.remove_temporaries(tmp_path)
    assert _names(tmp_path) == ["a.json"]


def test_a_link_in_the_place_of_a_file_is_replaced(tmp_path: Path, outside: Path) -> None:
    writers: dict[str, Callable[[Path], None]] = {
        "text": lambda path: files.write_text(path, "new"),
        "copy": lambda path: files.copy(__file__, path),
    }
    for name, write in writers.items():
        (tmp_path / name).symlink_to(outside / "mine")
        write(tmp_path / name)
        assert not (tmp_path / name).is_symlink()
    assert _untouched(outside)


def _append(out: Path) -> None:
    with files_at.editing(out, "link") as file:
        file.write(b"row")


@pytest.mark.parametrize(
    "act",
    [
        _append,
        lambda out: files_at.subfolder(out, "link", "bulk"),
        lambda out: files_at.remove_folder(out, "link"),
        lambda out: files_at.remove_folder(out, "link", "inner"),
        lambda out: FolderStore(out).put("link/a", b"1"),
        lambda out: FolderStore(out).put("link/inner/a", b"1", absent=True),
        lambda out: FolderStore(out).put_file("link/a", Path(__file__)),
        lambda out: FolderStore(out).delete("link/mine"),
        lambda out: FolderStore(out).below("link").put("a", b"1"),
        lambda out: FolderStore(out).below("link").delete("mine"),
        lambda out: FolderStore(out).below("link").check(),
    ],
)
def test_no_write_or_deletion_goes_through_a_link(
    act: Callable[[Path], None], tmp_path: Path, outside: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "link").symlink_to(outside)
    with pytest.raises(InputError, match=r"out/link: .*neither followed nor replaced"):
        act(out)
    assert _untouched(outside)
    assert (out / "link").is_symlink()


def test_an_output_folder_that_is_itself_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    store = FolderStore(tmp_path / "out")
    store.check()
    store.put("a/b", b"1")
    assert (tmp_path / "disk" / "a" / "b").read_bytes() == b"1"


def test_deleting_a_folder_deletes_the_links_in_it_alone(tmp_path: Path, outside: Path) -> None:
    work = files_at.subfolder(tmp_path, "out", "work", "deep")
    (work / "file").symlink_to(outside / "mine")
    (work / "folder").symlink_to(outside)
    files_at.remove_folder(tmp_path / "out", "work")
    assert _names(tmp_path / "out") == []
    files_at.remove_folder(tmp_path / "out", "work")
    assert _untouched(outside)


def test_a_store_lists_no_file_below_a_link_and_deletes_a_link_itself(
    tmp_path: Path, outside: Path
) -> None:
    store = FolderStore(tmp_path / "out")
    store.put("a", b"1")
    (store.folder / "folder").symlink_to(outside)
    (store.folder / "file").symlink_to(outside / "mine")
    assert [entry.key for entry in store.list()] == ["a", "file"]
    assert store.get("folder/mine") == b"mine"  # reading harms nobody
    store.delete("file")
    store.delete("folder")
    assert _names(store.folder) == ["a"]
    assert _untouched(outside)


def test_appending_to_a_file_with_a_second_name_leaves_that_one(tmp_path: Path) -> None:
    # As backups by hard links have it, or somebody who may not write to it himself.
    (tmp_path / "backup").write_bytes(b"old\n")
    out = tmp_path / "out"
    out.mkdir()
    os.link(tmp_path / "backup", out / "rows")
    for row in (b"one\n", b"two\n"):
        with files_at.editing(out, "rows") as file:
            file.seek(0, os.SEEK_END)
            file.write(row)
    assert (out / "rows").read_bytes() == b"old\none\ntwo\n"
    assert (tmp_path / "backup").read_bytes() == b"old\n"


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    store = FolderStore(tmp_path)
    acts: list[Callable[[], object]] = [
        lambda: store.get("pipe"),
        lambda: store.open("pipe").__enter__(),
        lambda: files_at.editing(tmp_path, "pipe").__enter__(),
    ]
    for act in acts:
        with pytest.raises(InputError, match="pipe: must be a plain file"):
            act()


def test_an_object_larger_than_expected_is_not_read(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(100 << 30)
    with pytest.raises(InputError, match=r"large: has 107374182400 bytes; 1000 are the most"):
        store.get("large", most=1000)
    assert store.size("large") == 100 << 30


def test_a_full_disk_is_named_with_the_whole_path(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full") as caught:
        files.write_bytes("/dev/full/full", b"1")
    assert "/dev/full" in str(caught.value)
    with pytest.raises(FileNotFoundError) as missing:
        files.write_bytes(tmp_path / "no" / "file", b"1")
    assert str(tmp_path / "no") in str(missing.value)
