"""Lines of results.jsonl: rows that can be worked with, or the reason why a line is none."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from audiostyle.config import problems
from audiostyle.store import Store
from components.stylize.pairs import SAFE_ID

FORMATS = ("wav", "flac")
# Of rows: more than any job writes, and what other programs still read as an integer.
HIGHEST = 2**53 - 1
# Bytes of a line: more than a million steps of an optimization take.
_MOST = 64 << 20
# What a row of ours begins with, whole or not.
_BEGINNING = b'{"id": "'

_Id = Annotated[str, StringConstraints(pattern=f"^{SAFE_ID.pattern}$")]
_Count = Annotated[int, Field(ge=0, le=HIGHEST, strict=True)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class _Row(TypedDict):
    """What is read of a row, as it must be."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    id: _Id
    status: Literal["done", "failed"]
    output: str
    bytes: _Count
    key: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
    finished: str
    sequence: NotRequired[_Count]
    error: NotRequired[str]
    measures: NotRequired[dict[str, _Number | None]]
    losses: NotRequired[dict[str, list[_Number]]]
    settings: NotRequired[dict[str, dict[str, Any]]]
    heard: NotRequired[str]


_ROWS = TypeAdapter(_Row)


@dataclass(frozen=True)
class Line:
    """A line of a file of rows. number: from 1; content: as it is, without its end.

    row: None where it is none, and then problem says why. ours: whether it is a row, or part of
    one that was cut short, rather than something else.
    """

    number: int
    content: bytes
    row: dict[str, Any] | None
    problem: str = ""
    ours: bool = True


def lines(store: Store, key: str) -> Iterator[Line]:
    """The lines of an object that are not empty. One is in memory at a time."""
    with store.open(key) as stream:
        for number, (content, whole) in enumerate(_split(stream.chunks), 1):
            if content is None:
                yield Line(number, b"", None, f"has more than {_MOST >> 20} MiB", False)
            elif not whole:
                yield Line(number, content, None, "was cut short", _like_ours(content))
            elif content.strip():
                row, problem = _parsed(content)
                ours = row is not None or _like_ours(content)
                yield Line(number, content, row, problem, ours)


def _like_ours(content: bytes) -> bool:
    return content.startswith(_BEGINNING) or _BEGINNING.startswith(content)


def _parsed(content: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        row = json.loads(content)
        content.decode()
    except RecursionError:
        return None, "is nested too deeply"
    except ValueError:
        return None, f"is not JSON ({content[:60]!r})"
    if not isinstance(row, dict):
        return None, f"is no object of JSON ({content[:60]!r})"
    try:
        _ROWS.validate_python(row)
    except ValidationError as error:
        return None, problems(error)[0]
    # An output is a file of this job, whatever a damaged row says.
    outputs = ("", *(f"{row['id']}.{form}" for form in FORMATS))
    if row["output"] not in outputs:
        return None, f"output: must be a file of the item's name (got {row['output']!r:.80})"
    return row, ""


def _split(chunks: Iterable[bytes]) -> Iterator[tuple[bytes | None, bool]]:
    """Lines, and whether each has its end; None for one that is too long."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        *ends, rest = re.split(b"\n", chunk)
        for end in ends:
            size += len(end)
            yield (None if size > _MOST else b"".join([*held, end])), True
            held, size = [], 0
        size += len(rest)
        if size > _MOST:
            held = []  # it is passed over
        else:
            held.append(rest)
    if size > _MOST:
        yield None, False
    elif size:
        yield b"".join(held), False
