"""Downloads against a server that misbehaves, and archives that mean harm."""

import contextlib
import hashlib
import io
import os
import random
import resource
import shutil
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections import namedtuple
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from seaweedfs import BUCKET, SeaweedFS

from audiostyle.artifacts import digest_of
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.store import open_store
from components.preprocess import disk
from components.preprocess import download as module
from components.preprocess.datasets.base import File
from components.preprocess.download import Patience, download
from components.preprocess.extract import Limits, extract
from components.preprocess.fetch import fetch, located

HASTE = Patience(attempts=4, first=0.01, longest=0.02)


class Server(ThreadingHTTPServer):
    """Serves `files`; breaks the connection at a random point as often as `breaks` says."""

    files: dict[str, bytes]
    breaks = 0
    ranges = True
    sent = 0
    status = 0
    etag = '"1"'
    location = ""
    length = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    chance = random.Random(0)

    def do_GET(self) -> None:
        server, content = self.server, self.server.files.get(self.path)
        if server.location:
            self.send_response(302)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        if content is None or server.status:
            self.send_error(server.status or 404)
            return
        wanted = self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("ETag", server.etag)
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", server.etag)
        if server.length != "none":
            self.send_header("Content-Length", server.length or str(len(content) - start))
        self.end_headers()
        end = len(content)
        if server.breaks:
            server.breaks -= 1
            # Within the first fifth of what is left, so that there is something left to break.
            end = start + self.chance.randrange(1, max(2, (len(content) - start) // 5))
        self.wfile.write(content[start:end])
        server.sent += end - start

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.files = {"/a.bin": random.Random(1).randbytes(8_000_000)}
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*")) if folder.exists() else []


def test_ten_breaks_and_no_starting_over(server: Server, tmp_path: Path) -> None:
    content = server.files["/a.bin"]
    server.breaks = 10
    download(
        f"{server.url}/a.bin",
        tmp_path / "a.bin",
        hash=md5(content),
        size=len(content),
        patience=HASTE,
    )
    assert server.breaks == 0
    assert (tmp_path / "a.bin").read_bytes() == content
    # Some of a break's last bytes may be lost on the way; nothing like a new start is.
    assert server.sent < 1.2 * len(content)
    assert names(tmp_path) == ["a.bin"]


def test_a_part_is_gone_on_with_by_the_next_process(server: Server, tmp_path: Path) -> None:
    server.breaks = 1000
    with pytest.raises(AudiostyleError, match=r"attempts without progress.*a\.bin\.part"):
        _break_without_progress(server, tmp_path)
    part = (tmp_path / "a.bin.part").stat().st_size
    assert part
    server.breaks, server.status, server.sent = 0, 0, 0
    download(f"{server.url}/a.bin", tmp_path / "a.bin", patience=HASTE)
    assert (tmp_path / "a.bin").read_bytes() == server.files["/a.bin"]
    assert server.sent == len(server.files["/a.bin"]) - part


def _break_without_progress(server: Server, folder: Path) -> None:
    def stop() -> None:
        while server.sent < 2_000_000:
            pass
        server.status = 503

    watcher = threading.Thread(target=stop)
    watcher.start()
    try:
        download(f"{server.url}/a.bin", folder / "a.bin", patience=HASTE)
    finally:
        watcher.join()


def test_a_file_that_changed_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    with pytest.raises(AudiostyleError):
        server.breaks = 1000
        _break_without_progress(server, tmp_path)
    server.breaks, server.status, server.etag = 0, 0, '"2"'
    server.files["/a.bin"] = b"new" * 1_000_000
    download(f"{server.url}/a.bin", tmp_path / "a.bin", patience=HASTE)
    assert (tmp_path / "a.bin").read_bytes() == server.files["/a.bin"]


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges, server.breaks = False, 2
    download(f"{server.url}/a.bin", tmp_path / "a.bin", patience=HASTE)
    assert (tmp_path / "a.bin").read_bytes() == server.files["/a.bin"]


def test_what_is_there_is_kept(server: Server, tmp_path: Path) -> None:
    wanted = md5(server.files["/a.bin"])
    for _ in range(2):
        download(f"{server.url}/a.bin", tmp_path / "a.bin", hash=wanted, patience=HASTE)
    assert server.sent == len(server.files["/a.bin"])
    (tmp_path / "a.bin").write_bytes(b"damaged")
    download(f"{server.url}/a.bin", tmp_path / "a.bin", hash=wanted, patience=HASTE)
    assert (tmp_path / "a.bin").read_bytes() == server.files["/a.bin"]


@pytest.mark.parametrize(
    "digest, size, words",
    [
        ("md5:" + "0" * 32, None, "expected MD5 0000.*got .*the download was deleted"),
        ("sha256:" + "0" * 64, None, "expected SHA-256 0000"),
        ("", 5, "has 8000000 bytes, 5 are expected"),
    ],
)
def test_another_file_than_meant(
    digest: str, size: int | None, words: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        target = tmp_path / "a.bin"
        download(f"{server.url}/a.bin", target, hash=digest, size=size, patience=HASTE)
    assert server.url in str(caught.value)
    assert names(tmp_path) == []


def test_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.bin: the server answers 404"):
        download(f"{server.url}/b.bin", tmp_path / "b.bin", patience=HASTE)
    with pytest.raises(InputError, match="does not exist"):
        download(str(tmp_path / "none" / "b.bin"), tmp_path / "b.bin", patience=HASTE)
    assert names(tmp_path) == []


def test_a_redirection_to_no_address(server: Server, tmp_path: Path) -> None:
    server.location = "http://[never/a.bin"
    with pytest.raises(InputError, match="cannot be asked for"):
        download(f"{server.url}/a.bin", tmp_path / "a.bin", patience=HASTE)


@pytest.mark.parametrize("length", ["1" * 5000, "many"])
def test_a_length_that_is_no_number_is_none(server: Server, tmp_path: Path, length: str) -> None:
    server.length = length
    content = server.files["/a.bin"]
    download(f"{server.url}/a.bin", tmp_path / "a.bin", hash=md5(content), patience=HASTE)
    assert (tmp_path / "a.bin").read_bytes() == content


def test_too_little_space_is_said_first(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "RESERVE", 1 << 60)
    with pytest.raises(AudiostyleError, match=r"are needed for a\.bin"):
        download(f"{server.url}/a.bin", tmp_path / "a.bin", patience=HASTE)
    assert server.sent < 8_000_000
    assert names(tmp_path) == []


@pytest.mark.parametrize("length", ["none", "8000000"])
def test_the_reserve_is_kept_while_writing(
    length: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a length the server may send without end; with one, others fill the disk."""
    server.length = length
    free = shutil.disk_usage(tmp_path).free
    asked = iter(range(100))
    status = namedtuple("status", "free")
    # As a disk that gets fuller: of 1 GB no more is free than the reserve, in the end.
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: status((64 << 20) + (9 << 20) - (next(asked) << 20))
    )
    with pytest.raises(AudiostyleError, match=r"are needed for a\.bin.*stay free"):
        download(f"{server.url}/a.bin", tmp_path / "a.bin", patience=HASTE)
    assert free > 0
    assert 0 < (tmp_path / "a.bin.part").stat().st_size < 8_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True
    )
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_fills_up(
    server: Server, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "require_space", lambda *_: None)  # another program fills it
    with pytest.raises(AudiostyleError, match=r"No space left on device.*is in a\.bin\.part"):
        download(f"{server.url}/a.bin", small_disk / "a.bin", patience=HASTE)
    assert names(small_disk) == ["a.bin.part", "a.bin.part.tag"]


def test_an_archive_that_fills_the_disk(small_disk: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as made:
        for number in range(8):
            add(made, f"{number}.wav", random.Random(number).randbytes(200_000))
    with pytest.raises(AudiostyleError, match=r"are needed for|No space left"):
        extract(archive, small_disk / "set")
    assert names(small_disk) == []


def test_a_file_system_that_stops_writing(tmp_path: Path) -> None:
    """A limit on file sizes stands for a full disk where no file system can be mounted."""
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a.wav", random.Random(0).randbytes(300_000))
    code = (
        "import resource, signal, sys; from pathlib import Path;"
        "from components.preprocess.extract import extract;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "extract(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(archive), str(tmp_path / "set")],
        capture_output=True,
        text=True,
    )
    assert resource.RLIMIT_FSIZE is not None
    assert "AudiostyleError" in ended.stderr and "File too large" in ended.stderr
    assert names(tmp_path) == ["a.zip"]


def add(made: tarfile.TarFile, name: str, content: bytes = b"x", **changes: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    made.addfile(info, io.BytesIO(content))


def slip(path: Path, kind: str) -> Path:
    """An archive that means harm."""
    if kind.startswith("zip"):
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("good.wav", b"1")
            if kind == "zip link":
                info = zipfile.ZipInfo("link")
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
                made.writestr(info, "/etc/passwd")
            else:
                name = {"zip ..": "../evil", "zip absolute": "/evil", "zip \\": "..\\evil"}
                made.writestr(name[kind], b"evil")
        return path
    with tarfile.open(path, "w:gz") as tar:
        add(tar, "good.wav")
        if kind == "tar ..":
            add(tar, "a/../../evil")
        elif kind == "tar absolute":
            add(tar, "/evil")
        elif kind == "tar device":
            add(tar, "null", b"", type=tarfile.CHRTYPE)
        else:
            hard = kind == "tar hard link"
            add(
                tar,
                "link",
                b"",
                type=tarfile.LNKTYPE if hard else tarfile.SYMTYPE,
                linkname="../../evil",
            )
    return path


@pytest.mark.parametrize(
    "kind",
    [
        *("zip ..", "zip absolute", "zip \\", "zip link"),
        *("tar ..", "tar absolute", "tar device", "tar link", "tar hard link"),
    ],
)
def test_nothing_leaves_the_folder(kind: str, tmp_path: Path) -> None:
    archive = slip(tmp_path / "a.archive", kind)
    with pytest.raises(InputError, match=r"a\.archive: is not safe to extract"):
        extract(archive, tmp_path / "in" / "set")
    assert names(tmp_path) == ["a.archive", "in"]


def bomb(path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("zeros.wav", bytes(40_000_000))
    else:
        with tarfile.open(path, "w:gz") as tar:
            add(tar, "zeros.wav", bytes(40_000_000))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_bombs(name: str, tmp_path: Path) -> None:
    archive = bomb(tmp_path / name)
    with pytest.raises(InputError, match="expands to more than"):
        extract(archive, tmp_path / "set", Limits(floor=1_000_000))
    with pytest.raises(InputError, match="more than 0 files"):
        extract(archive, tmp_path / "set", Limits(files=0))
    assert names(tmp_path) == [name]
    extract(archive, tmp_path / "set")
    assert (tmp_path / "set" / "zeros.wav").stat().st_size == 40_000_000


def test_a_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    archive = bomb(tmp_path / "a.zip")
    content = archive.read_bytes()
    archive.write_bytes(content.replace((40_000_000).to_bytes(4, "little"), b"\x10\0\0\0"))
    with pytest.raises(InputError, match=r"a\.zip: is damaged"):
        extract(archive, tmp_path / "set", Limits(floor=1_000_000))
    assert names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_damaged_archives(name: str, tmp_path: Path) -> None:
    content = bomb(tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is damaged or no archive"):
        extract(tmp_path / name, tmp_path / "set")
    assert names(tmp_path) == [name]


def small_set(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as made:
        for label in ("a", "b"):
            add(made, f"set/{label}/x.wav")
    return path


def test_a_data_set_whole_or_not_at_all(server: Server, tmp_path: Path) -> None:
    content = small_set(tmp_path / "set.tar.gz").read_bytes()
    server.files = {"/set.tar.gz": content, "/list.csv": b"a,b\n"}
    files = (
        File(f"{server.url}/set.tar.gz", md5(content)),
        File(f"{server.url}/list.csv", "md5:" + "0" * 32),
    )
    home = tmp_path / "home"
    with pytest.raises(InputError, match=r"list\.csv"):
        fetch("mine", files, home, patience=HASTE)
    assert names(home) == ["mine.download", "set.tar.gz"]
    right = (files[0], File(files[1].url, md5(b"a,b\n")))
    server.sent = 0
    folder = fetch("mine", right, home, patience=HASTE)
    assert server.sent == 4
    assert names(folder) == ["a", "b", "list.csv", "set", "x.wav", "x.wav"]
    assert [p.name for p in home.iterdir()] == ["mine"]
    server.files = {}
    assert fetch("mine", right, home) == folder


@pytest.mark.parametrize("kind", ["zip ..", "tar link"])
def test_a_harmful_download_leaves_nothing(kind: str, server: Server, tmp_path: Path) -> None:
    server.files = {"/s.tar.gz": slip(tmp_path / "s.tar.gz", kind).read_bytes()}
    with pytest.raises(InputError, match="not safe"):
        located(f"{server.url}/s.tar.gz", tmp_path / "home", patience=HASTE)
    assert names(tmp_path / "home") == []


def test_archives_folders_and_names(tmp_path: Path) -> None:
    archive = small_set(tmp_path / "my.set.tar.gz")
    home = tmp_path / "home"
    assert located(str(tmp_path), home) == tmp_path
    folder = located(str(archive), home)
    assert folder.parent == home
    assert folder.name.startswith("my.set-")
    assert archive.exists()
    named = located("urbansound8k", home, mirror=str(archive), hash=md5(archive.read_bytes()))
    assert named == home / "urbansound8k"
    assert located("analyticsvidhya-urban", home, mirror=str(archive)).is_dir()
    with pytest.raises(InputError, match="expected MD5 4fd9f5"):
        located("irmas", home, mirror=str(archive))
    with pytest.raises(InputError, match="esc51 does not exist, and no data set"):
        located("esc51", home)
    assert names(home / "irmas.download") == []


def test_a_contest_without_an_address(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"download train\.zip by hand"):
        located("analyticsvidhya-urban", tmp_path)


def test_a_mirror_in_object_storage(
    seaweedfs: SeaweedFS,
    tmp_path: Path,
) -> None:
    content = small_set(tmp_path / "x.tar.gz").read_bytes()
    store = open_store(f"s3://{BUCKET}/mirror")
    store.put("UrbanSound8K.tar.gz", content)
    folder = located(
        "urbansound8k", tmp_path / "home", mirror=f"s3://{BUCKET}/mirror", hash=md5(content)
    )
    assert names(folder) == ["a", "b", "set", "x.wav", "x.wav"]
    # A part is gone on with here, too.
    (tmp_path / "d").mkdir()
    long = random.Random(0).randbytes(3_000_000)
    store.put("a.bin", long)
    with store.open("a.bin") as stream:
        tag = stream.tag
    (tmp_path / "d" / "a.bin.part").write_bytes(long[:1_000_001])
    (tmp_path / "d" / "a.bin.part.tag").write_text(tag)
    download(f"s3://{BUCKET}/mirror/a.bin", tmp_path / "d" / "a.bin", hash=md5(long))
    assert names(tmp_path / "d") == ["a.bin"]


@pytest.mark.parametrize(
    "form",
    ["md5:{md5}", "MD5:{md5}", "{md5}", " {MD5} ", "sha256:{sha256}", "{sha256}", "sha-1:{sha1}"],
)
def test_forms_of_hashes(form: str, server: Server, tmp_path: Path) -> None:
    content = server.files["/a.bin"]
    digests = {n: hashlib.new(n, content).hexdigest() for n in ("md5", "sha1", "sha256")}
    text = form.format(**digests, MD5=digests["md5"].upper())
    download(f"{server.url}/a.bin", tmp_path / "a.bin", hash=text, patience=HASTE)
    wrong = form.format(md5="0" * 32, MD5="0" * 32, sha1="0" * 40, sha256="0" * 64)
    with pytest.raises(InputError, match=r"expected (MD5|SHA-1|SHA-256) 000.*, got [1-9a-f]"):
        download(f"{server.url}/a.bin", tmp_path / "b.bin", hash=wrong, patience=HASTE)
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    "text", ["sha999:abc", "abc", "md5:", "md5:" + "g" * 32, "md5:" + "0" * 31]
)
def test_what_is_no_hash(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hash: .* must be one of md5: and 32 hexadecimal digits"):
        located("https://localhost/a.zip", tmp_path / "home", hash=text)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a.bin", "a.bin.part", "a.bin.part.tag"])
@pytest.mark.parametrize("kind", ["link", "hard link", "fifo"])
def test_what_was_planted_where_a_download_goes(
    kind: str, name: str, server: Server, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"of the user")
    (tmp_path / "home").mkdir()
    planted = tmp_path / "home" / name
    {
        "link": lambda: planted.symlink_to(victim),
        "hard link": lambda: planted.hardlink_to(victim),
        "fifo": lambda: os.mkfifo(planted),
    }[kind]()
    with contextlib.suppress(AudiostyleError):
        digest = md5(server.files["/a.bin"])
        download(f"{server.url}/a.bin", tmp_path / "home" / "a.bin", hash=digest, patience=HASTE)
    assert victim.read_bytes() == b"of the user"


def test_a_folder_of_downloads_that_leads_elsewhere(server: Server, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "home").mkdir()
    server.files["/s.tar.gz"] = small_set(tmp_path / "s.tar.gz").read_bytes()
    name = f"s-{digest_of([f'{server.url}/s.tar.gz', ''])[:12]}"
    (tmp_path / "home" / f"{name}.download").symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="is a link"):
        located(f"{server.url}/s.tar.gz", tmp_path / "home", patience=HASTE)
    assert names(tmp_path / "victim") == []


def test_an_archive_on_this_machine_is_not_copied(tmp_path: Path) -> None:
    archive = small_set(tmp_path / "set.tar.gz")
    archive.chmod(0o444)
    for address in (str(archive), archive.as_uri()):
        folder = located(address, tmp_path / address[:4].strip("/"))
        assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    with pytest.raises(InputError, match=r"set\.tar\.gz: expected MD5 0000.*, got"):
        located(str(archive), tmp_path / "other", hash="0" * 32)
    assert archive.exists()


def test_an_object_that_changed_is_fetched_anew(seaweedfs: SeaweedFS, tmp_path: Path) -> None:
    store = open_store(f"s3://{BUCKET}")
    folders = []
    for label in ("a", "c"):
        with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as made:
            add(made, f"set/{label}/x.wav")
        store.put("changing.tar.gz", (tmp_path / "x.tar.gz").read_bytes())
        folders.append(located(f"s3://{BUCKET}/changing.tar.gz", tmp_path / "home"))
    assert [names(folder) for folder in folders] == [["a", "set", "x.wav"], ["c", "set", "x.wav"]]
    with pytest.raises(InputError, match="there is no such object"):
        located(f"s3://{BUCKET}/nowhere.tar.gz", tmp_path / "home")


def test_four_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    content = small_set(tmp_path / "set.tar.gz").read_bytes()
    server.files = {"/set.tar.gz": content}
    start = threading.Barrier(4)

    def one(address: str) -> Path:
        start.wait()
        return located(address, tmp_path / "home", patience=HASTE)

    for address in (f"{server.url}/set.tar.gz", str(tmp_path / "set.tar.gz")):
        with ThreadPoolExecutor(4) as pool:
            (folder,) = set(pool.map(one, [address] * 4))
        assert names(folder) == ["a", "b", "set", "x.wav", "x.wav"]
    assert server.sent == len(content)
    assert len(list((tmp_path / "home").iterdir())) == 2
