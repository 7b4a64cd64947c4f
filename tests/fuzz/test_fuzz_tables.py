"""Tables that people write: pairs, clips, and those of published data sets."""

import json
from pathlib import Path
from typing import Any

import pytest
from damage import DEEP, ODD, Change, Damage, changes, damages
from fuzzing import Outcome, Warm, attempt, fuzz, place
from hypothesis import strategies as st
from small import classifier, small, warm  # noqa: F401, fixtures
from warm import QUICK, SETTINGS

WORDS = (
    *(value for value in ODD if isinstance(value, str)),
    *("x.wav", "con tent.wav", "s3:/x", "s3://", "s3://b", "file:///x", "http://localhost:1/x"),
    *("-rf", "*", ".hidden", "ä", "\ufeff", "'", '"', 'a"b', "\r", "\t", "=1+1", "x" * 5000),
)


def _cell() -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(WORDS), st.text(max_size=12))


def _rows(columns: tuple[str, ...], good: dict[str, str]) -> st.SearchStrategy[str]:
    """CSV of few rows of which most cells are in order."""
    cells = [st.one_of(st.just(good.get(name, "")), _cell()) for name in columns]
    row = st.one_of(st.tuples(*cells), st.lists(_cell(), max_size=6).map(tuple))
    header = st.one_of(
        st.just(columns), st.just(columns), st.lists(_cell(), max_size=5), st.permutations(columns)
    )
    lines = st.tuples(header, st.lists(row, max_size=4))
    return lines.map(lambda t: "\n".join(",".join(r) for r in (t[0], *t[1])) + "\n")


def _text(content: str) -> bytes:
    return content.encode("utf-8", "surrogatepass")


@pytest.mark.slow
def test_pairs(warm: Warm, small: Path, classifier: Path) -> None:
    good = {"id": "x", "content": str(small / "a.wav"), "style": str(small / "style.wav")}
    whole = _text(f"id,content,style\n{','.join(good.values())}\n")

    def one(drawn: str | Damage) -> Outcome:
        with place() as folder:
            content = _text(drawn) if isinstance(drawn, str) else drawn.of(whole, 20)
            (folder / "bad.csv").write_bytes(content)
            command = ("stylize", "--pairs", "bad.csv", "--classifier", classifier, "--out", "out")
            return attempt(warm, folder, *command, *QUICK, out="out")

    rows = _rows(("id", "content", "style", "target"), good)
    fuzz("pairs", st.one_of(rows, damages()), one)


@pytest.mark.slow
def test_bulk_manifests(warm: Warm, small: Path, classifier: Path) -> None:
    """The manifest of a bulk job, by its plan: nothing is written."""
    good = {"id": "x", "content": str(small / "a.wav"), "style": str(small / "style.wav")}
    whole = _text(f"id,content,style,iterations\n{','.join(good.values())},1\n")

    def one(drawn: tuple[str, str | bytes | Damage]) -> Outcome:
        ending, content = drawn
        if isinstance(content, Damage):
            content = content.of(whole, 20)
        with place() as folder:
            (folder / f"bad.{ending}").write_bytes(
                content if isinstance(content, bytes) else _text(content)
            )
            command = ("audiostyle", "stylize", "--manifest", f"bad.{ending}", "--out", "out")
            plan = (*command, "--model", classifier, "--dry-run", "--method", "trained")
            return attempt(warm, folder, *plan, out="", named=f"bad.{ending}")

    columns = ("id", "content", "style", "iterations", "format")
    lines = changes().map(lambda change: json.dumps(change.of([good])))
    raw = st.sampled_from([DEEP, "- &a [*a]\n", "- {id: &a x, content: *a}\n", "- !!bool x\n"])
    inputs = st.one_of(
        st.tuples(st.just("csv"), st.one_of(_rows(columns, good), damages())),
        st.tuples(st.just("jsonl"), _objects()),
        st.tuples(st.sampled_from(["jsonl", "yaml"]), st.one_of(lines, raw)),
    )
    fuzz("bulk manifest", inputs, one)


def _objects() -> st.SearchStrategy[bytes]:
    """JSON lines that are not, or of odd values."""
    row = {"path": "a.wav", "label": "a", "split": "train"}
    line = st.one_of(
        changes().map(lambda change: change.of(row)),
        st.sampled_from(ODD),
        st.just({"path": "b.wav", "label": "b", "split": "train"}),
    ).map(json.dumps)
    raw = st.sampled_from(["{", DEEP, "9" * 5000, '{"path": "a.wav", "path": 1}', "\udcff", ""])
    lines = st.lists(st.one_of(line, raw), min_size=1, max_size=3)
    return lines.map(lambda rows: _text("\n".join(rows) + "\n"))


@pytest.mark.slow
def test_clips(warm: Warm, small: Path) -> None:
    whole = b"path,label,split\na.wav,a,train\nb.wav,b,train\n"

    def one(drawn: tuple[str, str | bytes | Damage]) -> Outcome:
        ending, content = drawn
        if isinstance(content, Damage):
            content = content.of(whole, 20)
        with place() as folder:
            (folder / f"bad.{ending}").write_bytes(
                content if isinstance(content, bytes) else _text(content)
            )
            for name in "ab":
                (folder / f"{name}.wav").hardlink_to(small / f"{name}.wav")
            read = ("--data", f"bad.{ending}", "--out", "out", *SETTINGS, "--max-failures", 0)
            return attempt(warm, folder, "preprocess", *read, out="out")

    rows = _rows(
        ("path", "label", "split", "fold", "group"), {"path": "a.wav", "label": "a", "fold": "1"}
    )
    inputs = st.one_of(
        st.tuples(st.just("csv"), st.one_of(rows, damages())),
        st.tuples(st.just("jsonl"), _objects()),
    )
    fuzz("clips", inputs, one)


# Of each published layout the table, and a row of it.
_PUBLISHED = {
    "esc50": (
        "meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take\na.wav,1,0,dog,True,1,A\n",
    ),
    "medley-solos-db": (
        "Medley-solos-DB_metadata.csv",
        "subset,instrument,instrument_id,song_id,uuid4\ntraining,piano,4,1,u\n",
    ),
    "nsynth": (
        "nsynth-train/examples.json",
        json.dumps({"a": {"instrument_family_str": "bass", "instrument_str": "b"}}),
    ),
    "speechcommands": ("validation_list.txt", "yes/a_nohash_0.wav\n"),
    "urbansound8k": (
        "metadata/UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class\na.wav,1,0,1,1,1,0,dog\n",
    ),
}


@pytest.mark.slow
def test_published_tables(warm: Warm, small: Path) -> None:
    def one(drawn: tuple[str, Damage, Change | None]) -> Outcome:
        layout, damage, change = drawn
        name, text = _PUBLISHED[layout]
        content = damage.of(text.encode(), len(text))
        if change and name.endswith(".json"):
            tree: Any = change.of(json.loads(text))
            content = json.dumps(tree).encode()
        with place() as folder:
            path = folder / "set" / name
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            (folder / "set/testing_list.txt").write_bytes(b"")
            for place_of in ("audio", "audio/fold1", "nsynth-train/audio", "yes", "."):
                (folder / "set" / place_of).mkdir(parents=True, exist_ok=True)
                (folder / "set" / place_of / "a.wav").hardlink_to(small / "a.wav")
            read = ("--data", "set", "--out", "out", *SETTINGS, "--layout", layout)
            return attempt(warm, folder, "preprocess", *read, "--max-failures", 0, out="out")

    names = st.sampled_from(list(_PUBLISHED))
    fuzz("published tables", st.tuples(names, damages(), st.one_of(st.none(), changes())), one)
