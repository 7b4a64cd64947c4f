"""Archives that mean harm, and archives that are broken."""

import bz2
import copy
import gzip
import io
import json
import lzma
import re
import stat
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from damage import Damage, damages
from fuzzing import TAR_MODES, Outcome, Warm, attempt, fuzz, place
from hypothesis import strategies as st
from small import small, warm  # noqa: F401, fixtures
from warm import SETTINGS

_NAMES = ("set/a/x.wav", "set/b/y.wav")
# {out}: an absolute path that a test sees.
_ODD_NAMES = (
    *("../evil", "../../evil", "a/../../../evil", "{out}/evil", "/{out}/evil", "..", ".", "", "/"),
    *("..\\evil", "C:\\evil", "C:evil", "a/./../../evil", "set/a/x.wav", "set/a", "set/a/x.wav/z"),
    *("a\x00b", "a\nb", "-rf", "e" * 300, "d/" * 700 + "x", "\udcff", "ä", "set/a/..", "~/evil"),
    *(".ssh/authorized_keys", "set/a/", "con", "a:b"),
)
_KINDS = ("file", "link", "hard link", "device", "block device", "fifo", "folder", "socket", "bomb")


@dataclass(frozen=True)
class Member:
    """What an archive gets besides its two recordings."""

    name: str
    kind: str
    target: str


def _zip(members: list[Member], files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        warnings.simplefilter("ignore")  # of names that are there twice, as they are to be
        for name, data in files.items():
            made.writestr(name, data)
        for member in members:
            info = zipfile.ZipInfo("x")
            info.filename = member.name  # as it is: the constructor would mend it
            form = {
                "link": stat.S_IFLNK,
                "device": stat.S_IFCHR,
                "block device": stat.S_IFBLK,
                "fifo": stat.S_IFIFO,
                "folder": stat.S_IFDIR,
                "socket": stat.S_IFSOCK,
            }.get(member.kind, stat.S_IFREG)
            info.external_attr = (form | 0o6777) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            data = bytes(300 << 20) if member.kind == "bomb" else member.target.encode()
            made.writestr(info, data)
    return content.getvalue()


_TYPES = {
    "link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "folder": tarfile.DIRTYPE,
    "socket": b"S",
}


class _Zeros(io.RawIOBase):
    """Zeros without end."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def _tar(members: list[Member], files: dict[str, bytes], compression: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(
        fileobj=content, mode=TAR_MODES[compression], format=tarfile.PAX_FORMAT
    ) as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.mode, info.linkname = 0o6777, member.target
            info.type = _TYPES.get(member.kind, tarfile.REGTYPE)
            data = b"" if member.kind in _TYPES else b"data"
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return content.getvalue()


def _bomb(ending: str) -> bytes:
    """300 MB of zeros in little."""
    if ending == "zip":
        return _zip([Member("set/a/zeros.wav", "bomb", "")], {})
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=TAR_MODES[ending.partition(".")[2]]) as made:
        info = tarfile.TarInfo("set/a/zeros.wav")
        info.size = 300 << 20
        made.addfile(info, _Zeros())
    return content.getvalue()


ENDINGS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


def _packed(ending: str, members: list[Member], files: dict[str, bytes]) -> bytes:
    if ending == "zip":
        return _zip(members, files)
    return _tar(members, files, ending.partition(".")[2])


def _try(warm: Warm, folder: Path, ending: str, content: bytes) -> Outcome:
    (folder / f"bad.{ending}").write_bytes(content)
    read = ("--data", f"bad.{ending}", "--out", "out", *SETTINGS, "--max-failures", 0)
    return attempt(warm, folder, "preprocess", *read, out="out")


@pytest.fixture(scope="module")
def files(small: Path) -> dict[str, bytes]:
    return {name: (small / f"{name[4]}.wav").read_bytes() for name in _NAMES}


@pytest.mark.slow
def test_archives_that_mean_harm(warm: Warm, files: dict[str, bytes]) -> None:
    def one(drawn: tuple[str, list[Member]]) -> Outcome | None:
        ending, members = drawn
        with place() as folder:
            outside = str(folder.parents[1] / "outside")
            members = [
                Member(
                    member.name.replace("{out}", outside),
                    member.kind,
                    member.target.replace("{out}", outside),
                )
                for member in members
            ]
            try:
                content = _packed(ending, members, files)
            except (ValueError, UnicodeError):
                return None  # no archive can hold it
            return _try(warm, folder, ending, content)

    member = st.builds(
        Member,
        st.one_of(st.sampled_from(_ODD_NAMES), st.sampled_from(["set/a/z.wav", "link/z", "link"])),
        st.sampled_from(_KINDS[:-1]),
        st.sampled_from(["../../../evil", "{out}", "/etc/passwd", "set/a/x.wav", "link", ".", ""]),
    )
    members = st.lists(member, min_size=1, max_size=3)
    fuzz("archive", st.tuples(st.sampled_from(ENDINGS), members), one)


@pytest.mark.slow
def test_damaged_archives(warm: Warm, files: dict[str, bytes]) -> None:
    whole = {ending: _packed(ending, [], files) for ending in ENDINGS}

    def one(drawn: tuple[str, Damage]) -> Outcome:
        ending, damage = drawn
        with place() as folder:
            return _try(warm, folder, ending, damage.of(whole[ending], 512))

    fuzz("damaged archive", st.tuples(st.sampled_from(ENDINGS), damages()), one)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_bombs(ending: str, warm: Warm) -> None:
    with place() as folder:
        done = _try(warm, folder, ending, _bomb(ending))
    assert done.code == 2
    assert "expands to more than" in done.told


@pytest.mark.slow
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_bomb_without_a_tar_in_it(pack: object, warm: Warm) -> None:
    with place() as folder:
        assert _try(warm, folder, "tar.gz", pack(bytes(300 << 20))).code == 2  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_good_archives_are_taken(
    ending: str,
    warm: Warm,
    files: dict[str, bytes],
) -> None:
    with place() as folder:
        assert _try(warm, folder, ending, _packed(ending, [], files)).code == 0


def _member(kind: bytes, size: int, name: bytes = b"set/a/z.wav", *, body: bytes = b"") -> bytes:
    """A header as tarfile would not write it, and what follows it."""
    info = tarfile.TarInfo(name.decode())
    info.type = kind
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = ((1 << 95) + size if size >= 0 else (1 << 96) + size).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + body + bytes(-len(body) % 512)


def _realpath_overflow(outside: str) -> bytes:
    """CVE-2025-4517: links so long that the standard library's filter loses count of them."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as made:

        def add(name: str, kind: bytes, link: str = "", data: bytes = b"") -> None:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(data)
            made.addfile(info, io.BytesIO(data))

        path = ""
        for step in "abcdefghijklmnop":
            add(f"{path}{'d' * 247}", tarfile.DIRTYPE)
            add(f"{path}{step}", tarfile.SYMTYPE, "d" * 247)
            path += f"{'d' * 247}/"
        steps = "/".join("abcdefghijklmnop")
        add(f"{steps}/{'l' * 254}", tarfile.SYMTYPE, "../" * 16)
        add("escape", tarfile.SYMTYPE, f"{steps}/{'l' * 254}/../../..{outside}")
        add("flag", tarfile.LNKTYPE, "escape/flag")
        add("flag", tarfile.REGTYPE, data=b"evil")
        add("escape/evil", tarfile.REGTYPE, data=b"evil")
    return content.getvalue()


def _xz_of_a_huge_dictionary(content: bytes) -> bytes:
    packed = bytearray(lzma.compress(content, preset=0, check=lzma.CHECK_CRC32))
    size = 4 * (packed[12] + 1)
    at = packed.index(b"\x21\x01", 12) + 2  # LZMA2, of one byte of properties
    packed[at] = 40  # 4 GiB
    crc = zlib.crc32(packed[12 : 12 + size - 4])
    packed[12 + size - 4 : 12 + size] = struct.pack("<I", crc)
    return bytes(packed)


def _zip_of_a_huge_dictionary(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_LZMA) as made:
        for name, data in files.items():
            made.writestr(name, data)
    packed = bytearray(content.getvalue())
    at = packed.index(b"\x09\x04\x05\x00") + 5
    packed[at : at + 4] = b"\xff" * 4
    return bytes(packed)


def _overlapping(files: dict[str, bytes]) -> bytes:
    """Two entries of the directory for one compressed block."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
        second = copy.copy(made.filelist[0])
        second.filename = "set/a/y.wav"
        made.filelist.append(second)
    return content.getvalue()


def _zip64(files: dict[str, bytes]) -> bytes:
    """A size of 2^50, as only zip64 can write it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
        made.filelist[0].file_size = 1 << 50
    return content.getvalue()


def _directory(entries: int) -> bytes:
    """A zip of so many entries without anything behind them."""
    entry = b"PK\x01\x02" + bytes(42)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0, 0, entries * 46, 0, 0)
    return entry * entries + end


ATTACKS = {
    "links that overflow realpath": ("tar.gz", "is not safe|cannot be extracted"),
    "negative size": ("tar.gz", "is damaged"),
    "negative long name": ("tar", "is damaged"),
    "long name of 4 GB": ("tar.gz", "is damaged.*header is too long"),
    "long link of 4 GB": ("tar.xz", "is damaged.*header is too long"),
    "PAX header of 4 GB": ("tar.bz2", "is damaged.*header is too long"),
    "global PAX header of 4 GB": ("tar.gz", "is damaged.*header is too long"),
    "a thousand PAX headers": ("tar.gz", "is damaged.*header is too long"),
    "sparse file of an exabyte": ("tar.gz", "sparse|expands to more|is damaged"),
    "device": ("tar", "is not safe"),
    "xz dictionary of 4 GB": ("tar.xz", "is damaged.*[Mm]emory"),
    "LZMA dictionary of 4 GB": ("zip", "needs 4294967295 bytes of memory"),
    "overlapping members": ("zip", "overlaps another member"),
    "zip64 size": ("zip", "expands to more than"),
    "directory of 3 million": ("zip", "holds more than 1000000 files"),
    "two members of one name": ("zip", "holds two members named 'set/a/x.wav'"),
    "zstd": ("tar.gz", "is zstd; only .zip"),
    "a header cut off": ("tar", "is damaged.*header is damaged or cut off"),
    "a header damaged in the middle": ("tar.gz", "is damaged.*header is damaged or cut off"),
}


def _attack(name: str, outside: str, files: dict[str, bytes]) -> bytes:
    good = _tar([], files, "")
    body = good[: -(-len(good.rstrip(b"\0")) // 512) * 512]  # without the end
    packers: dict[str, Callable[[bytes], bytes]] = {
        "tar": bytes,
        "tar.gz": gzip.compress,
        "tar.bz2": bz2.compress,
        "tar.xz": lambda content: lzma.compress(content, preset=0),
        "zip": bytes,
    }
    pack = packers[ATTACKS[name][0]]
    kinds = {
        "long name of 4 GB": tarfile.GNUTYPE_LONGNAME,
        "long link of 4 GB": tarfile.GNUTYPE_LONGLINK,
        "PAX header of 4 GB": tarfile.XHDTYPE,
        "global PAX header of 4 GB": tarfile.XGLTYPE,
    }
    if name in kinds:
        return pack(_member(kinds[name], 4 << 30, body=bytes(200 << 20)))
    whole = {
        "negative size": body + _member(tarfile.REGTYPE, -512) + bytes(1024),
        "negative long name": body + _member(tarfile.GNUTYPE_LONGNAME, -1) + bytes(1024),
        "a thousand PAX headers": b"".join(
            _member(tarfile.XHDTYPE, 16, body=b"16 comment=abcd\n") for _ in range(1000)
        ),
        "sparse file of an exabyte": _member(tarfile.GNUTYPE_SPARSE, 1 << 60),
        "device": body + _member(tarfile.BLKTYPE, 0),
        "a header cut off": body + _member(tarfile.REGTYPE, 0)[:300],
        "a header damaged in the middle": body + b"x" * 512 + good,
    }
    if name in whole:
        return pack(whole[name])
    if name == "links that overflow realpath":
        return _realpath_overflow(outside)
    if name == "xz dictionary of 4 GB":
        return _xz_of_a_huge_dictionary(good)
    if name == "zstd":
        return b"\x28\xb5\x2f\xfd" + bytes(100)
    return {
        "LZMA dictionary of 4 GB": lambda: _zip_of_a_huge_dictionary(files),
        "overlapping members": lambda: _overlapping(files),
        "zip64 size": lambda: _zip64(files),
        "directory of 3 million": lambda: _directory(3_000_000),
        "two members of one name": lambda: _zip([Member("set/a/x.wav", "file", "")], files),
    }[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(name: str, warm: Warm, files: dict[str, bytes]) -> None:
    ending, words = ATTACKS[name]
    with place() as folder:
        outside = folder.parents[1] / "outside"
        outside.mkdir()
        (outside / "flag").write_text("of the user")
        done = _try(warm, folder, ending, _attack(name, str(outside), files))
        assert (outside / "flag").read_text() == "of the user"
    assert done.code == 2, done.err
    assert re.search(rf"bad\.{ending}: .*({words})", done.told), done.told


@pytest.mark.slow
def test_links_in_an_archive_are_files_or_named(warm: Warm, files: dict[str, bytes]) -> None:
    members = [
        Member("set/a/hard.wav", "hard link", "set/a/x.wav"),
        Member("set/b/soft.wav", "link", "../a/x.wav"),
        Member("set/a/later.wav", "link", "last.wav"),
        Member("set/c", "link", "a"),
        Member("set/a/nothing.wav", "link", "nowhere.wav"),
    ]
    with place() as folder:
        content = _tar(members, {**files, "set/a/last.wav": files["set/a/x.wav"]}, "gz")
        done = _try(warm, folder, "tar.gz", content)
        assert done.code == 0, done.err
        clips = [
            json.loads(r)["path"] for r in (folder / "out/clips.jsonl").read_text().splitlines()
        ]
    assert [Path(clip).name for clip in clips] == [
        *("hard.wav", "last.wav", "later.wav", "x.wav", "soft.wav", "y.wav")
    ]
    for name in ("set/c", "set/a/nothing.wav"):
        assert f"left out: {name}, a link to no file" in done.err


@pytest.mark.slow
def test_an_archive_that_grew(warm: Warm, files: dict[str, bytes]) -> None:
    """`tar --append` writes a member again: the later one counts."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as made:
        for name, data in [("set/a/x.wav", b"not yet"), *files.items()]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    with place() as folder:
        assert _try(warm, folder, "tar", content.getvalue()).code == 0
