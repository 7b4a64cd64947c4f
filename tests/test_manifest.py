"""Manifests in every format give the same rows, each with its line and as it is written."""

import os
from pathlib import Path

import pytest

from audiostyle.errors import InputError
from audiostyle.manifest import Columns, Row, one_of, rows, shard

TEXTS = ("id", "label")
COLUMNS = Columns(("id",), one_of(("id", "label", "rate")), is_text=lambda name: name in TEXTS)


def read(path: Path, content: str | bytes) -> list[Row]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(rows(path, COLUMNS))


WRITTEN = ("010", "0x1F", "1_000", "yes", "1e3", "12:30:45", "1.10", "null", "~", "2026-11-25")


@pytest.mark.parametrize("text", WRITTEN)
def test_text_is_as_written(text: str, tmp_path: Path) -> None:
    absent = "" if text in ("null", "~") else text  # how YAML writes that there is nothing
    assert read(tmp_path / "m.csv", f"id,label\n{text},x\n") == [Row(2, {"id": text, "label": "x"})]
    assert read(tmp_path / "m.yaml", f"- id: {text}\n") == [Row(1, {"id": absent})]
    assert read(tmp_path / "m.yaml", f"- id: '{text}'\n") == [Row(1, {"id": text})]
    assert read(tmp_path / "m.jsonl", f'{{"id": "{text}"}}\n') == [Row(1, {"id": text})]


@pytest.mark.parametrize("number", ["17", "1.10", "1e3", "-0", "123456789012345678901234567890"])
def test_numbers_of_json_are_as_written(number: str, tmp_path: Path) -> None:
    assert read(tmp_path / "m.jsonl", f'{{"id": {number}}}') == [Row(1, {"id": number})]


def test_cells_of_settings_are_values(tmp_path: Path) -> None:
    for name, content in (
        ("m.csv", "id,rate\n1,2.5\n"),
        ("m.jsonl", '\n{"id": 1, "rate": 2.5}'),
        ("m.yml", "\n- {id: 1, rate: 2.5}"),
    ):
        assert read(tmp_path / name, content) == [Row(2, {"id": "1", "rate": 2.5})]


def test_tables_as_spreadsheets_write_them(tmp_path: Path) -> None:
    """Empty columns to the right, and rows of nothing but commas."""
    text = "id,label,,\r\n,,,\r\na,x,,\r\n,,,\r\nb,,,\r\nc,y,,z\r\n,y,,\r\n"
    rows_read = read(tmp_path / "m.csv", text)
    assert [row.line for row in rows_read] == [3, 5, 6, 7]
    assert rows_read[0].cells == {"id": "a", "label": "x"}
    assert rows_read[1].cells == {"id": "b", "label": ""}
    assert "has more fields (4) than there are columns (2)" in rows_read[2].problem
    assert rows_read[3].cells == {"id": "", "label": "y"}
    with pytest.raises(InputError, match="must be one of"):
        read(tmp_path / "m.csv", "id,,label\na,,x\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_those_of_the_file(end: str, tmp_path: Path) -> None:
    text = end.join(["", "id,label", "", "a,x", "", "", '"b",', "c,x,y", "d"])
    rows_read = read(tmp_path / "m.csv", text)
    assert [row.line for row in rows_read] == [4, 7, 8, 9]
    assert "has more fields (3) than there are columns (2)" in rows_read[2].problem
    assert rows_read[3].cells == {"id": "d", "label": ""}
    text = end.join(["", '{"id": "a"}', "", '{"id": 1', '{"id": "b"}'])
    rows_read = read(tmp_path / "m.jsonl", text)
    assert [(row.line, bool(row.problem)) for row in rows_read] == [
        (2, False),
        (4, True),
        (5, False),
    ]
    text = end.join(["# of mine", "", "- id: a", "  label: x", "", "- id: [b]"])
    rows_read = read(tmp_path / "m.yaml", text)
    assert [(row.line, row.problem) for row in rows_read] == [
        (3, ""),
        (6, "id: must be text, not a list"),
    ]


def test_a_cell_of_several_lines_counts_from_its_first(tmp_path: Path) -> None:
    rows_read = read(tmp_path / "m.csv", 'id,label\n"a\nb\nc",x\nd,y\n')
    assert [(row.line, row.cells["id"]) for row in rows_read] == [(2, "a\nb\nc"), (5, "d")]


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.ndjson", "m.yaml", "M.YML"])
def test_a_byte_order_mark_is_no_text(name: str, tmp_path: Path) -> None:
    content = {
        "csv": "id,label\na,x\n",
        "jsonl": '{"id": "a", "label": "x"}',
        "ndjson": '{"id": "a", "label": "x"}',
        "yaml": "- {id: a, label: x}",
        "yml": "- {id: a, label: x}",
    }[name.rpartition(".")[2].lower()]
    (rows_read,) = read(tmp_path / name, b"\xef\xbb\xbf" + content.encode())
    assert rows_read.cells == {"id": "a", "label": "x"}


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("m.txt", "id\na\n", "must end in .csv, .jsonl"),
        ("m.csv", "", "line 1: has no column id"),
        ("m.csv", "id;label\na;x\n", "with commas between them, are needed .got 'id;label'"),
        ("m.csv", "\nlabel\nx\n", "line 2: has no column id"),
        ("m.csv", "id,lable\na,x\n", "line 1: lable: must be one of id, label, rate"),
        ("m.csv", "id,label,id\na,x,b\n", "names a column twice"),
        ("m.csv", 'id\n"a', "is not CSV"),
        ("m.csv", b"id\n\xff\n", "is not text in UTF-8"),
        ("m.csv", "id\na\n".encode("utf-16"), "is not text in UTF-8"),
        ("m.yaml", "id: a", "is not a list of rows; each must begin with '- id: …'"),
        ("m.yaml", "- &a [*a]", "has an alias"),
        ("m.yaml", "- {id: a", "is not YAML"),
        ("m.yaml", "[" * 20_000, "is not YAML"),
    ],
)
def test_manifests_of_no_use(name: str, content: str | bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path / name, content)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    "name, row, words",
    [
        ("m.jsonl", '{"id": "a", "id": "b"}', "names a column twice"),
        ("m.jsonl", '{"id": {"a": 1}}', "id: must be text, not an object"),
        ("m.jsonl", '["a"]', "must be names with values, not a list"),
        ("m.jsonl", "[" * 20_000, "is nested too deeply"),
        ("m.jsonl", '{"id": "a", "rate": NaN}', "is not JSON"),
        ("m.yaml", "- {id: a, id: b}", "names a column twice"),
        ("m.yaml", "- text", "must be names with values, not text"),
        ("m.yaml", "- {id: a, [1]: b}", "a column whose name is not text"),
        ("m.yaml", "- {id: a, rate: !!bool x}", "rate: is not YAML"),
        ("m.yaml", "- {id: a, colour: red}", "colour: must be one of id"),
    ],
)
def test_rows_of_no_use(name: str, row: str, words: str, tmp_path: Path) -> None:
    (rows_read,) = read(tmp_path / name, row + "\n")
    assert words in rows_read.problem
    assert rows_read.cells == {}


def test_a_manifest_is_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.csv")
    for place in (tmp_path / "m.csv", tmp_path / "nowhere.csv"):
        with pytest.raises(InputError, match="cannot be read"):
            list(rows(place, COLUMNS))


def test_shards_are_all_items_once() -> None:
    for count in (1, 2, 7, 30):
        parts = [list(shard(range(20), index, count)) for index in range(count)]
        assert sorted(number for part in parts for number in part) == list(range(20))
    for index in (-1, 3):
        with pytest.raises(InputError, match="from 0/3 to 2/3"):
            shard(range(20), index, 3)
