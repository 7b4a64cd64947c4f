"""A manifest is read whole and checked whole, whatever it is written in."""

import json
from pathlib import Path

import pytest
from bulk_jobs import bulk, rows_of, write_csv

from audiostyle.errors import InputError
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from pipeline.bulk import manifest
from pipeline.bulk.items import Base, Item

BASE = Base(StylizeConfig(), ReconstructConfig())


def read(path: Path) -> list[Item]:
    return list(manifest.read(path, BASE, path.with_suffix(".items")))


def test_three_formats_say_the_same(clips: Path, tmp_path: Path) -> None:
    rows = [{**row, "style_weight": 2.5, "stylize.seed": 3} for row in rows_of(clips, 5)]
    del rows[1]["style_weight"], rows[1]["stylize.seed"]
    write_csv(tmp_path / "a.csv", rows)
    (tmp_path / "b.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    (tmp_path / "c.yaml").write_text(json.dumps(rows))  # YAML has JSON in it
    (tmp_path / "d.yml").write_text(
        "".join(
            "- " + "\n  ".join(f"{name}: {value}" for name, value in row.items()) + "\n"
            for row in rows
        )
    )
    found = [read(tmp_path / name) for name in ("a.csv", "b.jsonl", "c.yaml", "d.yml")]
    assert found[0] == found[1] == found[2] == found[3]
    assert [item.id for item in found[0]] == [row["id"] for row in rows]
    stylize, reconstruct = BASE.of(found[0][0])
    assert (stylize.style_weight, stylize.seed, reconstruct.seed) == (2.5, 3, 0)
    assert BASE.of(found[0][1]) == (BASE.stylize, BASE.reconstruct)


def test_a_setting_of_either_stage(clips: Path, tmp_path: Path) -> None:
    row = {**rows_of(clips, 1)[0], "stylize.iterations": 7, "reconstruct.iterations": 9}
    row["format"] = "flac"
    (item,) = read(write_csv(tmp_path / "a.csv", [row]))
    stylize, reconstruct = BASE.of(item)
    assert (stylize.iterations, reconstruct.iterations, reconstruct.format) == (7, 9, "flac")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "yaml"])
def test_every_bad_row_is_named_at_once(kind: str, clips: Path, tmp_path: Path) -> None:
    good = rows_of(clips, 9)
    changes: list[tuple[dict[str, object], str]] = [
        ({}, ""),
        ({"id": "ITEM-0"}, "id 'ITEM-0' stands in line"),
        ({"id": "../x"}, "safe file name"),
        ({"id": "con.wav"}, "Windows"),
        ({"content": "nowhere.wav"}, "nowhere.wav: does not exist"),
        ({"style": ""}, "style is empty"),
        ({"style_weight": -1}, "style_weight"),
        ({"content": str(clips)}, "is not a file"),
        ({"style": "http://host/x.wav"}, "s3://bucket/key is needed"),
    ]
    rows = [{**row, **change} for row, (change, _) in zip(good, changes, strict=True)]
    path = tmp_path / f"m.{kind}"
    if kind == "csv":
        write_csv(path, rows)
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text("".join(f"- {json.dumps(row)}\n" for row in rows))
    with pytest.raises(InputError) as caught:
        read(path)
    lines = str(caught.value).split("\n")
    assert lines[0] == f"{path}: {len(changes) - 1} bad rows"
    first = 3 if kind == "csv" else 2
    for number, (line, (_, words)) in enumerate(zip(lines[1:], changes[1:], strict=True), first):
        assert line.strip().startswith(f"line {number}: "), line
        assert words in line


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("m.csv", "id,content\na,b\n", "has no column style"),
        ("m.csv", "id,content,style,colour\na,b,c,d\n", "colour: is an unknown column"),
        ("m.csv", "id,content,style\n", "has no rows"),
        ("m.csv", "id,content,style\na,b,c,d\n", "line 2: has more fields"),
        ("m.jsonl", '{"id": "a"\n[1]\n', "line 1: is not JSON"),
        ("m.jsonl", '{"id": "a"}\n[1]\n', "line 2: must be names with values"),
        ("m.jsonl", "[" * 100000, "line 1: is not JSON"),
        ("m.yaml", "a: b\n", "not a list of rows"),
        ("m.yaml", "[{id: a b}, {id: b}]", "line 1: .*safe file name.*style is empty"),
        ("m.yaml", "- a: &x 1\n- *x\n", "alias"),
        ("m.yaml", "- {id: !!python/object:os.system x}\n", "content is empty"),
        ("m.csv", "id,content,style,seed\na,b,c,1\n", "write stylize.seed or reconstruct.seed"),
        ("m.txt", "id,content,style\n", "must end in"),
        ("m.csv", None, "cannot be read"),
    ],
)
def test_what_is_no_manifest(name: str, text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read(tmp_path / name)


def test_cross_product(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for place in (tmp_path / "c1.wav", tmp_path / "more" / "C1.flac", tmp_path / "x ü.wav"):
        place.write_bytes(b"x")
    items = list(manifest.product(f"{tmp_path}/**/*.*", f"{clips}/s[0-2].wav", tmp_path / "items"))
    assert len(items) == 3 * 3
    assert len({item.id.lower() for item in items}) == 9
    assert {"x--s0", "x--s1", "x--s2"} <= {item.id for item in items}
    # Names do not depend on what else is there in no conflict with them.
    again = list(manifest.product(f"{tmp_path}/x*", f"{clips}/s0.wav", tmp_path / "items"))
    assert [item.id for item in again] == ["x--s0"]
    with pytest.raises(InputError, match="matches no file"):
        manifest.product(f"{tmp_path}/*.ogg", f"{clips}/s*.wav", tmp_path / "items")


def test_shards_share_all_items(clips: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of(clips, 11))
    items = manifest.read(path, BASE, tmp_path / "items")
    shards = [list(items.shard(n, 4, tmp_path / f"shard{n}")) for n in range(4)]
    assert {len(shard) for shard in shards} == {2, 3}
    assert sorted(i.id for s in shards for i in s) == sorted(item.id for item in items)


def test_mistakes_on_the_command_line(clips: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows_of(clips, 1))
    for more, words in (
        ([], "give CONTENT STYLE -o"),
        (["--out", "x", "--contents", "a*"], "give CONTENT STYLE -o"),
        (["--out", "x", "--shard", "2/2"], "I from 0 to N-1"),
        (["--out", "x", "--retries", "-1"], "retries"),
        (["--out", "x", "--style-weight", "much"], "style_weight"),
    ):
        result = bulk("stylize", "--manifest", path, "--model", tmp_path, *more)
        assert result.exit_code == 2, more
        assert words in result.stderr
    assert not Path("x").exists()
