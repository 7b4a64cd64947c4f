"""How inputs are damaged: bytes, and values in JSON."""

import copy
import math
import struct
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_NUMBERS = (0, 1, 2, 255, 1000, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF0)


@dataclass(frozen=True)
class Damage:
    """Changes to a file's bytes, one after the other; places are shares of its length."""

    changes: tuple[tuple[Any, ...], ...]

    def of(self, content: bytes, head: int) -> bytes:
        """The content, damaged. head: bytes in which places that are marked so lie."""
        made = bytearray(content)
        for kind, in_head, share, value in self.changes:
            at = int(share * min(len(made), head if in_head else len(made)))
            if kind == "flip":
                made[at : at + 1] = bytes([made[at] ^ value]) if at < len(made) else b""
            elif kind == "number":
                made[at : at + len(value)] = value
            elif kind == "cut":
                del made[at:]
            elif kind == "drop":
                del made[at : at + value]
            elif kind == "insert":
                made[at:at] = value
            elif kind == "blank":
                made[at : at + value] = bytes(len(made[at : at + value]))
        return bytes(made)


def _numbers() -> SearchStrategy[bytes]:
    packed = [struct.pack(e + "I", n) for n in _NUMBERS for e in "<>"]
    packed += [struct.pack("<H", n & 0xFFFF) for n in _NUMBERS]
    packed += [struct.pack("<Q", n << 8) for n in _NUMBERS]
    return st.sampled_from(packed)


def damages(most: int = 3, cuts: bool = True) -> SearchStrategy[Damage]:
    """Damage in some places, half of it in the head. cuts: files may become shorter, too."""
    share = st.floats(0, 1, exclude_max=True)
    kinds = [
        st.tuples(st.just("flip"), st.booleans(), share, st.integers(1, 255)),
        st.tuples(st.just("number"), st.just(True), share, _numbers()),
        st.tuples(st.just("insert"), st.booleans(), share, st.binary(min_size=1, max_size=40)),
        st.tuples(st.just("blank"), st.booleans(), share, st.integers(1, 64)),
    ]
    if cuts:
        kinds += [
            st.tuples(st.just("cut"), st.booleans(), share, st.none()),
            st.tuples(st.just("drop"), st.booleans(), share, st.integers(1, 64)),
        ]
    return st.builds(Damage, st.lists(st.one_of(kinds), min_size=1, max_size=most).map(tuple))


def _deep(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


DEEP = "[" * 20_000  # as text; json.dumps could not write it
# What nobody expects where a name, a number or a table should be.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 10**6, 10**9, 2**31, 2**63, 10**30, -(10**30)),
    *(0.5, -0.0, 1e-320, 1e308, math.nan, math.inf, -math.inf),
    *("", "x", " ", "0", "-1", "nan", "../evil", "../../../evil", "/evil", "a/../../evil", "."),
    *("..", "\x00", "a\nb", "\ud800", "e" * 300, "<script>alert(1)</script>", "\u202e", "~"),
    *([], {}, [[]], [None], {"": None}, [0, 0, 0, 0], ["a"], {"a": {"b": []}}, _deep(50)),
)


@dataclass(frozen=True)
class Change:
    """A change to one value in a JSON tree. share: which one, of all."""

    kind: str
    share: float
    value: Any

    def of(self, tree: Any) -> Any:
        """A copy of the tree, changed."""
        made = {"": copy.deepcopy(tree)}
        places = list(_places(made))
        holder, key = places[int(self.share * len(places))]
        if self.kind == "take" and holder is not made:
            del holder[key]
        elif self.kind == "add" and isinstance(holder[key], dict):
            holder[key]["surplus"] = self.value
        else:
            holder[key] = copy.deepcopy(self.value)
        return made[""]


def _places(holder: Any) -> Any:
    pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
    for key, value in list(pairs):
        yield holder, key
        if isinstance(value, dict | list):
            yield from _places(value)


def changes(odd: tuple[Any, ...] = ODD) -> SearchStrategy[Change]:
    """A value replaced, taken away or added."""
    return st.builds(
        Change,
        st.sampled_from(["put", "put", "put", "take", "add"]),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(odd),
    )
