"""PyTorch's files of state dictionaries (`.pth`, `.pt`), read without `torch.load`.

Both forms: the archive that `torch.save` writes since 1.6, and the older row of pickles with the
storages behind them. See `tensor_pickles` for what is read of a pickle.
"""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from audiostyle.errors import InputError
from audiostyle.tensor_pickles import MOST_BYTES, Storage, View, read, tensors_of

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MOST_ENTRIES = 20_000
# Tensors may share a storage, but not so that a small file becomes a large one.
_MOST_SHARED = 2
# How files begin that people have of networks, too.
_OTHERS = {
    b"\x93NUMPY": "NumPy, in which Python's objects are pickled",
    b"\x89HDF\r\n": "HDF5",
    b"\x04\0\0\0\x01\0\0\0": "Lua's Torch (.t7)",
    b"\x1f\x8b": "gzip",
}
_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    struct.error,
    zipfile.BadZipFile,
)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch file by name, on the CPU, each in memory of its own.

    Raises InputError naming the file: where it cannot be read, has anything in it but a dictionary
    of tensors, or is damaged. No code in it is run, whatever it holds.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: {'is not a file' if path.exists() else 'does not exist'}")
        with path.open("rb") as file:
            head = file.read(4)
        return _of_archive(path) if head == b"PK\x03\x04" else _of_pickles(path)
    except _DAMAGE as error:
        raise InputError(f"{path}: {' '.join(str(error).split()):.400}") from None


def _of_archive(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if len(entries) > _MOST_ENTRIES or len(entries) < len(archive.infolist()):
            raise ValueError("has too many entries, or two of one name")
        pickles = [name for name in entries if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError("is an archive, but not one of torch.save: it has no data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}constants.pkl" in entries:
            raise ValueError(
                "is a program of TorchScript (torch.jit.save), which is not run; save the"
                " module's state_dict() with torch.save"
            )
        order = f"{folder}byteorder"
        if order in entries and _entry(archive, entries[order], 16) != b"little":
            raise ValueError("was written on a big-endian machine, which is not supported")
        value = read(_entry(archive, entries[pickles[0]], MOST_BYTES))

        def load(storage: Storage) -> bytes:
            name = f"{folder}data/{storage.key}"
            if name not in entries:
                raise ValueError(f"lacks {name!r:.120}, in which a tensor lies")
            return _entry(archive, entries[name], path.stat().st_size)

        return _tensors(tensors_of(value), load, path)


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    """Content of an entry that is stored as it is, as torch.save does: no bomb."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise ValueError(f"has {entry.filename!r:.120} compressed, which torch.save does not do")
    if entry.file_size > most or entry.file_size != entry.compress_size:
        raise ValueError(f"has {entry.filename!r:.120} of {entry.file_size} bytes; {most} at most")
    return archive.read(entry)


def _of_pickles(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        head = io.BytesIO(file.read(MOST_BYTES))
        try:
            begins = head.getvalue()[:1] == b"\x80" and read(head) == _MAGIC
        except ValueError:
            begins = False
        if not begins:
            raise ValueError(_unknown(head.getvalue()))
        if read(head) != _PROTOCOL:
            raise ValueError("has a version of PyTorch's format that is not supported")
        system = read(head)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise ValueError("was written on a big-endian machine, which is not supported")
        storages: dict[str, Storage] = {}
        views = tensors_of(read(head, storages))
        keys = read(head)
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError("has a damaged list of storages")
        places = _places(path, head.tell(), keys, storages)

        def load(storage: Storage) -> bytes:
            if storage.key not in places:
                raise ValueError(f"lacks the storage {storage.key!r:.80}, in which a tensor lies")
            file.seek(places[storage.key])
            return file.read(storage.size * storage.width)

        return _tensors(views, load, path)


def _unknown(head: bytes) -> str:
    """Why a file that is neither form is refused; of a pickle, what is in it."""
    if head[:1] == b"\x80":
        read(head)  # which names a global that is not allowed
        return "is a pickle, but none of torch.save; save a state_dict() with torch.save"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 27:
        return "is safetensors already: nothing is to be converted"
    for start, form in _OTHERS.items():
        if head.startswith(start):
            return f"is a file of {form}; a state_dict() that torch.save wrote is needed"
    return "is no file of torch.save: neither an archive nor its older form"


def _places(path: Path, at: int, keys: list[str], storages: dict[str, Storage]) -> dict[str, int]:
    """Where each storage begins: an int64 of its size goes before it."""
    places = {}
    end = path.stat().st_size
    with path.open("rb") as file:
        for key in keys:
            file.seek(at)
            (size,) = struct.unpack("<q", file.read(8))
            storage = storages.get(key)
            if storage is None or size != storage.size:
                raise ValueError(f"has a storage {key!r:.80} of {size} numbers, unlike its pickle")
            places[key] = at + 8
            at += 8 + size * storage.width
            if at > end:
                raise ValueError(f"ends early: in the storage {key!r:.80}")
    return places


def _tensors(
    views: dict[str, View], load: Callable[[Storage], bytes], path: Path
) -> dict[str, Tensor]:
    by_storage: dict[Storage, list[str]] = {}
    total = 0
    for name, view in views.items():
        by_storage.setdefault(view.storage, []).append(name)
        total += torch.Size(view.shape).numel() * view.storage.width
    if total > _MOST_SHARED * path.stat().st_size:
        raise ValueError(f"has tensors of {total} bytes in all, more than the file has")
    tensors: dict[str, Tensor] = {}
    for storage, names in by_storage.items():
        content = load(storage)
        if len(content) != storage.size * storage.width:
            raise ValueError(
                f"ends early or is damaged: the storage {storage.key!r:.80} has {len(content)} of"
                f" {storage.size * storage.width} bytes"
            )
        dtype = getattr(torch, storage.dtype)
        flat = torch.frombuffer(bytearray(content), dtype=dtype) if content else None
        for name in names:
            view = views[name]
            if flat is None:
                tensors[name] = torch.empty(view.shape, dtype=dtype)
            else:
                tensors[name] = flat.as_strided(view.shape, view.strides, view.offset).clone()
    return {name: tensors[name].contiguous() for name in views}
