"""The manifest of pairs is checked whole, and may lie where its recordings lie."""

from pathlib import Path

import pytest
import soundfile
from conftest import RATE, noise, tone
from seaweedfs import BUCKET, SeaweedFS

from audiostyle import stylized_set
from audiostyle.errors import InputError
from audiostyle.recordings import Recordings
from audiostyle.store import open_store
from components.stylize.config import StylizeConfig
from components.stylize.pairs import Pair, read_pairs
from components.stylize.stylize import stylize


def test_manifest_names_every_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(
        "id,content,style\n"
        "good,a.wav,b.wav\n"
        "../up,a.wav,b.wav\n"
        "good,a.wav,b.wav\n"
        ",a.wav,b.wav\n"
        "late,a.wav\n"
        "\n\n"
        "more,a.wav,b.wav,c.wav,d.wav\n"
    )
    with pytest.raises(InputError) as caught:
        read_pairs(path)
    text = str(caught.value)
    assert str(path) in text
    for words in (
        "5 bad rows",
        "line 3: id '../up' is not a safe file name",
        "line 4: id 'good' stands in line 2 already",
        "line 5: id is empty",
        "line 6: style is empty",
        "line 9: has more fields",
    ):
        assert words in text


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "has no column id, content, style"),
        (b"id,content\nx,a.wav\n", "has no column style"),
        (b"id,content,style,colour\n", "colour: must be one of id"),
        (b"id,content,style\n", "has no rows"),
        (b"id,content,style\n\xff\xfe,a,b\n", "not text in UTF-8"),
    ],
)
def test_manifests_that_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_pairs(path)
    assert str(path) in str(caught.value)


def test_manifest_paths_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("﻿id,content,style,target\na,x/1.wav,/abs/2.wav,\n")
    assert read_pairs(path) == [Pair("a", tmp_path / "x/1.wav", Path("/abs/2.wav"))]
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "nowhere.csv")


def test_pairs_in_a_bucket(
    seaweedfs: SeaweedFS,
    classifier: Path,
    tmp_path: Path,
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(seconds=1), RATE)
    soundfile.write(tmp_path / "b.flac", noise(seconds=1), RATE)
    store = open_store(f"s3://{BUCKET}/sets")
    store.put("sounds/a.wav", (tmp_path / "a.wav").read_bytes())
    store.put("one/b.flac", (tmp_path / "b.flac").read_bytes())
    rows = [
        "id,content,style",
        f"x,../sounds/a.wav,s3://{BUCKET}/sets/one/b.flac",
        f"y,{tmp_path}/a.wav,b.flac",
    ]
    store.put("one/pairs.csv", "\n".join(rows).encode())
    manifest = f"s3://{BUCKET}/sets/one/pairs.csv"
    pairs = read_pairs(manifest)
    assert pairs[0] == Pair(
        "x", f"s3://{BUCKET}/sets/sounds/a.wav", f"s3://{BUCKET}/sets/one/b.flac"
    )
    stylize(pairs, classifier, tmp_path / "set", StylizeConfig(iterations=2))
    made = stylized_set.read(tmp_path / "set")
    assert [item.sources for item in made.items] == [{"content": "a.wav", "style": "b.flac"}] * 2
    content = made.audio_path(made.items[0], "content")
    assert content.read_bytes() == (tmp_path / "a.wav").read_bytes()
    # Fetched recordings are gone, with the folder that they were in.
    assert {p.name for p in tmp_path.iterdir()} == {"a.wav", "b.flac", "set"}
    missing = [Pair("z", f"s3://{BUCKET}/sets/nothing.wav", tmp_path / "b.flac")]
    with pytest.raises(InputError, match=r"nothing\.wav"):
        stylize(missing, classifier, tmp_path / "other", StylizeConfig(iterations=2))
    with pytest.raises(InputError, match="no such object"):
        read_pairs(f"s3://{BUCKET}/sets/nowhere.csv")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "yaml"])
def test_pairs_in_every_format_as_they_are_written(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"pairs.{ending}"
    content = {
        "csv": "id,content,style\n010,a b\t.wav,0x1F.wav\n008,1e3,yes\n",
        "jsonl": '{"id": "010", "content": "a b\\t.wav", "style": "0x1F.wav"}\n'
        '{"id": "008", "content": "1e3", "style": "yes"}\n',
        "yaml": '- {id: 010, content: "a b\\t.wav", style: 0x1F.wav}\n'
        "- {id: 008, content: 1e3, style: yes}\n",
    }[ending]
    path.write_text(content)
    assert read_pairs(path) == [
        Pair("010", tmp_path / "a b\t.wav", tmp_path / "0x1F.wav"),
        Pair("008", tmp_path / "1e3", tmp_path / "yes"),
    ]


def test_objects_of_one_name_of_any_length_are_fetched_once_each(
    seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    store = open_store(f"s3://{BUCKET}")
    keys = ["one/a.wav", "two/a.wav", "long/" + "n" * 240 + ".wav"]
    for number, key in enumerate(keys):
        store.put(key, bytes([number]) * 10)
    places = [f"s3://{BUCKET}/{key}" for key in keys]
    with Recordings(tmp_path / "fetched") as recordings:
        local = recordings.local([*places, *places, tmp_path / "here.wav"])
        assert [local[place][0].read_bytes()[0] for place in places] == [0, 1, 2]
        assert local[tmp_path / "here.wav"] == (tmp_path / "here.wav", "")
        assert len([p for p in (tmp_path / "fetched").rglob("*") if p.is_file()]) == 3
        with pytest.raises(InputError, match="nowhere"):
            recordings.local([f"s3://{BUCKET}/nowhere.wav"])
    assert not any(tmp_path.iterdir())
