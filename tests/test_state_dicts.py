"""PyTorch's files are read without running what is in them, and are refused by name otherwise."""

import argparse
import collections
import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from audiostyle.errors import InputError
from audiostyle.state_dicts import read_state_dict
from audiostyle.tensor_pickles import read, tensors_of

FORMS = pytest.mark.parametrize("archive", [True, False], ids=["archive", "older form"])
TRAP = Path("/tmp/audiostyle-state-dict-trap")  # noqa: S108


def saved(value: Any, path: Path, archive: bool) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=archive)
    return path


def example() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(3, 2)).state_dict()


@FORMS
def test_what_was_saved_is_read(archive: bool, tmp_path: Path) -> None:
    named = example()
    whole = named["0.weight"]
    named |= {
        "transposed": whole.permute(1, 0, 2, 3),
        "part": whole[1:, :2],
        "half": whole.half(),
        "bfloat": whole.bfloat16(),
        "parameter": nn.Parameter(whole),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3),
        "flags": torch.tensor([True, False]),
    }
    tensors = read_state_dict(saved(named, tmp_path / "a.pth", archive))
    assert list(tensors) == list(named)
    for name, value in named.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value), name


@FORMS
@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_checkpoint_is_read_in_every_protocol(
    archive: bool, protocol: int, tmp_path: Path
) -> None:
    """What a training saves to resume from: the weights are one of its entries."""
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    named = {f"module.{name}": value for name, value in model.state_dict().items()}
    checkpoint = {
        "epoch": 90,
        "arch": "alexnet",
        "state_dict": named,
        "best_acc1": torch.tensor(56.5),
        "optimizer": optimizer.state_dict(),
        "distributed": True,
        "seed": None,
        "betas": (0.9, 1 << 40),
    }
    path = tmp_path / "a.pth"
    torch.save(checkpoint, path, pickle_protocol=protocol, _use_new_zipfile_serialization=archive)
    tensors = read_state_dict(path)
    assert {name: value.tolist() for name, value in tensors.items()} == {
        name: value.tolist() for name, value in named.items()
    }


def test_a_program_and_files_of_other_libraries_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    traced = torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2))  # type: ignore[no-untyped-call]
    torch.jit.save(traced, path)
    with pytest.raises(InputError, match=r"TorchScript .* save the module's state_dict\(\)"):
        read_state_dict(path)
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="is safetensors already"):
        read_state_dict(path)
    with path.open("wb") as file:  # as SoundNet's sound8.npy
        trap = np.array({"conv1": _Call(os.system, f"touch {TRAP}")})
        np.save(file, trap, allow_pickle=True)
    with pytest.raises(InputError, match=r"NumPy, .* a state_dict\(\) .* is needed"):
        read_state_dict(path)
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(2))
    with pytest.raises(InputError, match=r"has no data\.pkl"):
        read_state_dict(path)
    for start, words in ((b"\x04\0\0\0\x01\0\0\0", "Lua's Torch"), (b"\x89HDF\r\n\x1a\n", "HDF5")):
        path.write_bytes(start + bytes(20))
        with pytest.raises(InputError, match=words):
            read_state_dict(path)
    assert not TRAP.exists()


class _Call:
    """Pickled, it is a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@FORMS
@pytest.mark.parametrize(
    "value, words",
    [
        ({"a": _Call(os.system, f"touch {TRAP}")}, "'posix.system'"),
        ({"a": _Call(eval, "1")}, "'builtins.eval'|'__builtin__.eval'"),
        ({"a": _Call(getattr, "a", "b")}, "getattr'"),
        (nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        (collections.OrderedDict(a=_Call(TRAP.touch)), "getattr'|pathlib"),
        ([torch.zeros(2)], "no dictionary of tensors, but a list"),
        (torch.zeros(2), "no dictionary of tensors, but a tensor"),
        ({"model": {"state_dict": {"a": torch.zeros(1)}}}, "'model', which is no tensor"),
        ({"args": argparse.Namespace(), "state_dict": {"a": torch.zeros(1)}}, "Namespace'"),
        ({"epoch": 3}, "'epoch', which is no tensor"),
        ({"state_dict": {}, "epoch": 3}, "'state_dict', which is no tensor"),
        ({"a": {"x": torch.zeros(1)}, "b": {"x": torch.zeros(1)}}, "several .*'a', 'b': save one"),
        ({"a": torch._neg_view(torch.ones(2))}, "negated or conjugated"),
        ({"a": np.zeros(2)}, "numpy.*_reconstruct"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "ComplexFloatStorage"),
        ({1: torch.zeros(2)}, "'1', which is no tensor"),
    ],
)
def test_anything_else_is_refused(value: Any, words: str, archive: bool, tmp_path: Path) -> None:
    path = saved(value, tmp_path / "a.pth", archive)
    with pytest.raises(InputError, match=words) as caught:
        read_state_dict(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert not TRAP.exists()


def test_a_plain_pickle_is_refused_by_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    for protocol in range(2, 6):
        path.write_bytes(pickle.dumps(_Call(os.system, f"touch {TRAP}"), protocol))
        with pytest.raises(InputError, match=r"'posix\.system'"):
            read_state_dict(path)
        path.write_bytes(pickle.dumps({"a": 1}, protocol))
        with pytest.raises(InputError, match=r"a\.pth: "):
            read_state_dict(path)
    for content in (b"", b"x", b"PK\x03\x04", b"\x80\x02.", b"PK\x05\x06" + bytes(18)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.pth: "):
            read_state_dict(path)
    for missing in (tmp_path / "b.pth", tmp_path):
        with pytest.raises(InputError, match=r"does not exist|is not a file"):
            read_state_dict(missing)
    assert not TRAP.exists()


def rewritten(path: Path, change: Callable[[str, bytes], bytes], **options: Any) -> None:
    """An archive with its entries changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))


@pytest.mark.parametrize(
    "change, options, words",
    [
        (lambda name, x: x, {"compression": zipfile.ZIP_DEFLATED}, "compressed"),
        (lambda name, x: x[:-4] if "/data/" in name else x, {}, "ends early or is damaged"),
        (lambda name, x: x + bytes(4) if "/data/" in name else x, {}, "ends early or is damaged"),
        (lambda name, x: b"big" if name.endswith("byteorder") else x, {}, "big-endian"),
        (lambda name, x: x[:40] if name.endswith("data.pkl") else x, {}, "pickle"),
    ],
)
def test_archives_that_do_not_agree_are_refused(
    change: Callable[[str, bytes], bytes], options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = saved(example(), tmp_path / "a.pth", True)
    rewritten(path, change, **options)
    with pytest.raises(InputError, match=words):
        read_state_dict(path)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    for archive in (True, False):
        content = saved(example(), tmp_path / "a.pth", archive).read_bytes()
        for length in range(1, len(content), max(1, len(content) // 60)):
            (tmp_path / "a.pth").write_bytes(content[:length])
            with pytest.raises(InputError, match=r"a\.pth: "):
                read_state_dict(tmp_path / "a.pth")


def _tensor(size: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """A dictionary of one tensor, as torch.save pickles it."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            storage = ("storage", torch.FloatStorage, "0", "cpu", size)
            return storage if isinstance(value, Storage) else None

    rebuild = torch._utils._rebuild_tensor_v2
    hooks: dict[str, Any] = collections.OrderedDict()
    stream = io.BytesIO()
    call = _Call(rebuild, Storage(), offset, shape, strides, False, hooks)
    Pickler(stream, 2).dump({"a": call})
    return stream.getvalue()


@pytest.mark.parametrize(
    "size, offset, shape, strides",
    [
        (4, 0, (5,), (1,)),
        (4, 1, (4,), (1,)),
        (4, 0, (2, 2), (3, 1)),
        (4, 0, (1 << 40,), (0,)),
        (4, -1, (1,), (1,)),
        (4, 0, (-1,), (1,)),
        (4, 0, (1,), (-1,)),
        (4, 0, (2,), (1, 1)),
        (4, 0, (1,) * 9, (1,) * 9),
        (1 << 60, 0, (1,), (1,)),
        (-4, 0, (1,), (1,)),
    ],
)
def test_tensors_beyond_their_storage_are_refused(
    size: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    assert tensors_of(read(_tensor(4, 0, (2, 2), (2, 1))))["a"].shape == (2, 2)
    with pytest.raises(ValueError, match=r"beyond its storage|damaged pickle"):
        read(_tensor(size, offset, shape, strides))


def test_structures_that_grow_by_reference_are_refused_at_once() -> None:
    """Forty lines of memo stand for 2 ** 40 values; nothing that is said of them shows them all."""
    doubled = b"\x80\x02]q\x00" + b"".join(b"h%c\x86q%c" % (k, k + 1) for k in range(40))
    for end in (
        b".",
        b"}q\x80h\x28h\x28s.",
        b"cposix\nsystem\nh\x28R.",
        b"h\x28Q.",
        b"h\x28h\x28b.",
    ):
        with pytest.raises(ValueError):
            tensors_of(read(doubled + end))


@FORMS
def test_damage_is_refused_or_read_as_tensors(archive: bool, tmp_path: Path) -> None:
    """Bytes changed at random: an InputError that names the file, or tensors of the file's size."""
    whole = saved({"a.weight": torch.ones(3, 4), "b": torch.ones(7)}, tmp_path / "a.pth", archive)
    content = whole.read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(600):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 8))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        whole.write_bytes(damaged)
        try:
            tensors = read_state_dict(whole)
        except InputError as error:
            assert str(error).startswith(f"{whole}: ") and len(str(error)) < 600
            refused += 1
        else:
            size = sum(value.numel() * value.element_size() for value in tensors.values())
            assert size <= 2 * len(damaged)
    assert refused > 100


def test_pickles_of_random_opcodes_are_refused_or_plain() -> None:
    """Opcodes that are allowed, in any order: a ValueError, or a value of plain parts."""
    chance = random.Random(1)
    parts = [
        *(bytes([x]) for x in b"()]}tsuaeRbQ.NO0\x85\x86\x87\x88\x89\x93\x94"),
        b"K\x01",
        b"J\xff\xff\xff\xff",
        b"X\x01\x00\x00\x00a",
        b"ctorch\nFloatStorage\n",
        b"ccollections\nOrderedDict\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"q\x00",
        b"h\x00",
        b"X\x07\x00\x00\x00storage",
        b"\x8a\x08" + struct.pack("<q", 1 << 61),
    ]
    outcomes = collections.Counter[str]()
    for _ in range(20_000):
        text = b"\x80\x02" + b"".join(chance.choices(parts, k=chance.randrange(1, 14))) + b"."
        try:
            read(text)
            outcomes["read"] += 1
        except ValueError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 1000 and outcomes["read"] > 100
