"""Artifacts whose maker is no friend: every hash agrees, and little else does."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from damage import DEEP, ODD, Change, Damage, changes, damages
from fuzzing import Outcome, Warm, attempt, copied, fuzz, place
from hypothesis import strategies as st
from small import agreeing, small, warm  # noqa: F401, fixtures
from warm import QUICK

# Each artifact, and the command that reads it.
_TRAIN = ("--epochs", 1, "--bands", 16, "--channels", "[2, 2, 2, 2]")


def _try(warm: Warm, small: Path, folder: Path, kind: str) -> Outcome:
    """Read an artifact that lies in `bad` of the folder."""
    commands: dict[str, tuple[Any, ...]] = {
        "set": ("train", "--data", "bad", "--out", "out", *_TRAIN),
        "model": (
            *("stylize", "--pairs", small / "pairs.csv", "--classifier", "bad", "--out", "out"),
            *QUICK,
        ),
        "stylized": ("reconstruct", "--stylized", "bad", "--out", "out", "--iterations", 0),
        "told": (
            *("reconstruct", "--stylized", small / "stylized", "--classifier", "bad"),
            *("--out", "out", "--iterations", 0),
        ),
    }
    return attempt(warm, folder, *commands[kind], out="out", named="bad")


_ARTIFACT = {"set": "set", "model": "model", "stylized": "stylized", "told": "model"}


def _changed(
    warm: Warm,
    small: Path,
    kind: str,
    name: str,
    change: Callable[[Path], None],
) -> Outcome:
    with place() as folder:
        bad = copied(small / _ARTIFACT[kind], folder / "bad")
        change(bad / name)
        if name != "manifest.json":
            agreeing(bad)
        return _try(warm, small, folder, kind)


_JSON = (
    *(("set", "manifest.json"), ("model", "manifest.json"), ("stylized", "manifest.json")),
    *(("model", "network.json"), ("model", "network.json")),
    *(("told", "metrics.json"), ("told", "manifest.json")),
)


def _json_text(path: Path, change: Change | str | Damage) -> None:
    if isinstance(change, Damage):
        path.write_bytes(change.of(path.read_bytes(), 200))
    elif isinstance(change, str):
        path.write_bytes(change.encode("utf-8", "surrogatepass"))
    else:
        path.write_text(json.dumps(change.of(json.loads(path.read_text()))))


_RAW = st.sampled_from(["", "{", "[]", "null", DEEP, "1" * 5000, "\udcff", '{"format": NaN}'])


@pytest.mark.slow
def test_manifests_and_descriptions(warm: Warm, small: Path) -> None:
    def one(drawn: tuple[tuple[str, str], Any]) -> Outcome:
        (kind, name), change = drawn
        return _changed(warm, small, kind, name, lambda path: _json_text(path, change))

    inputs = st.tuples(
        st.sampled_from(_JSON), st.one_of(changes(), changes(), changes(), _RAW, damages())
    )
    fuzz("artifact", inputs, one)


def _rows(path: Path, change: Change | str | Damage, at: int) -> None:
    lines = path.read_text().splitlines()
    if isinstance(change, Damage):
        path.write_bytes(change.of(path.read_bytes(), 400))
        return
    if isinstance(change, str):
        lines[at % len(lines)] = change
    else:
        lines[at % len(lines)] = json.dumps(change.of(json.loads(lines[at % len(lines)])))
    path.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "surrogatepass"))


@pytest.mark.slow
def test_tables(warm: Warm, small: Path) -> None:
    def one(drawn: tuple[str, Any, int]) -> Outcome:
        kind, change, at = drawn
        name = {"set": "clips.jsonl", "stylized": "items.jsonl"}[kind]
        return _changed(warm, small, kind, name, lambda path: _rows(path, change, at))

    change = st.one_of(changes(), changes(), changes(), _RAW, damages())
    kinds = st.sampled_from(["set", "stylized", "stylized"])
    fuzz("table", st.tuples(kinds, change, st.integers(0, 20)), one)


_TENSORS = {
    "set": "magnitudes-00000.safetensors",
    "model": "weights.safetensors",
    "stylized": "items/x-00000.safetensors",
}
_SHAPES: list[list[float]] = [
    [],
    [0],
    [1],
    [0, 129, 10],
    [10**9, 10**9],
    [2**63],
    [1, 1, 1, 1],
    [-1, 129, 5],
    [1.5],
]
_DTYPES = ("F64", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "C64", "F4", "X")


@pytest.mark.slow
def test_tensors(warm: Warm, small: Path) -> None:
    def header(path: Path, change: Change) -> None:
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        told = json.dumps(change.of(json.loads(content[8 : 8 + size]))).encode()
        path.write_bytes(struct.pack("<Q", len(told)) + told + content[8 + size :])

    def recast(path: Path, dtype: str, shape: list[Any] | None) -> None:
        """All tensors as another dtype or shape, and as many bytes as that takes."""
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        told = json.loads(content[8 : 8 + size])
        told.pop("__metadata__", None)
        bits = {"F64": 64, "I64": 64, "C64": 64, "F16": 16, "BF16": 16, "F4": 4}
        at = 0
        for value in told.values():
            value["dtype"] = dtype
            value["shape"] = value["shape"] if shape is None else shape
            count = 1
            for length in value["shape"]:
                count *= int(length)
            length = max(0, min(count * bits.get(dtype, 32 if dtype == "F32" else 8) // 8, 10**6))
            value["data_offsets"] = [at, at + length]
            at += length
        head = json.dumps(told).encode()
        path.write_bytes(struct.pack("<Q", len(head)) + head + b"\x7f\xc0" * (at // 2 + 1))
        path.write_bytes(path.read_bytes()[: 8 + len(head) + at])

    def one(drawn: tuple[str, Any]) -> Outcome:
        kind, change = drawn

        def apply(path: Path) -> None:
            if isinstance(change, Damage):
                path.write_bytes(change.of(path.read_bytes(), 300))
            elif isinstance(change, Change):
                header(path, change)
            else:
                recast(path, *change)

        return _changed(warm, small, kind, _TENSORS[kind], apply)

    cast = st.tuples(
        st.sampled_from(("F32", *_DTYPES)), st.one_of(st.none(), st.sampled_from(_SHAPES))
    )
    odd = (*ODD, *_SHAPES, *_DTYPES, [0, 0], [0, 4], [4, 0], [0, 2**40], [2**62, 2**62 + 8])
    inputs = st.tuples(
        st.sampled_from(list(_TENSORS)), st.one_of(changes(odd), changes(odd), cast, damages())
    )
    fuzz("tensors", inputs, one)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _ARTIFACT)
def test_good_artifacts_are_taken(kind: str, warm: Warm, small: Path) -> None:
    with place() as folder:
        copied(small / _ARTIFACT[kind], folder / "bad")
        agreeing(folder / "bad")
        assert _try(warm, small, folder, kind).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("id", ["../../evil", "a/../../evil", "{out}/evil", "sub/evil", "..", ""])
def test_an_item_writes_nowhere_else(id: str, warm: Warm, small: Path) -> None:
    """An id is part of names of files, so one that is a path would choose where these are."""
    with place() as folder:
        bad = copied(small / "stylized", folder / "bad")
        id = id.replace("{out}", str(folder.parents[1]))
        row = json.loads((bad / "items.jsonl").read_text())
        (bad / "items.jsonl").write_text(json.dumps({**row, "id": id}) + "\n")
        # The shards are where the id says, and listed: only what is checked of ids is in the way.
        shard = bad / f"items/{id}-00000.safetensors"
        shard.parent.mkdir(parents=True, exist_ok=True)
        shard.write_bytes((bad / "items/x-00000.safetensors").read_bytes())
        manifest = json.loads((bad / "manifest.json").read_text())
        listed = "" if ".." in id else f"items/{id}-00000.safetensors"
        manifest["files"] |= {listed: ""} if listed else {}
        (bad / "manifest.json").write_text(json.dumps(manifest))
        agreeing(bad)
        done = _try(warm, small, folder, "stylized")
    assert done.code == 2
    assert "items.jsonl: line 1: id" in done.told


@pytest.mark.slow
def test_a_network_of_absurd_size_takes_no_memory(warm: Warm, small: Path) -> None:
    def huge(path: Path) -> None:
        told = json.loads(path.read_text())
        told["network"]["channels"] = [10**5] * 4
        path.write_text(json.dumps(told))

    done = _changed(warm, small, "model", "network.json", huge)
    assert done.code == 2
    assert "weights.safetensors: does not fit network.json" in done.told
