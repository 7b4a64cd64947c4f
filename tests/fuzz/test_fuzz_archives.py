"""Archives that mean harm, and archives that are broken."""

import bz2
import gzip
import io
import stat
import tarfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from damage import Damage, damages
from fuzzing import Outcome, Warm, attempt, fuzz, place
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
    with tarfile.open(fileobj=content, mode=f"w:{compression}", format=tarfile.PAX_FORMAT) as made:
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
    with tarfile.open(fileobj=content, mode="w:" + ending.partition(".")[2]) as made:
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
