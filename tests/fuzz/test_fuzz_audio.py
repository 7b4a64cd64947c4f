"""Recordings that are not what they say, or are what nobody records."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import tone
from damage import Damage, damages
from fuzzing import Outcome, Warm, attempt, fuzz, place
from hypothesis import strategies as st
from small import classifier, small, warm  # noqa: F401, fixtures
from warm import QUICK, SETTINGS

FORMATS = ("wav", "flac", "ogg", "mp3", "aiff", "caf", "w64", "au", "rf64")


@pytest.fixture(scope="module")
def recordings() -> dict[str, bytes]:
    """A fifth of a second in every format."""
    contents = {}
    with place() as folder:
        for name in FORMATS:
            path = folder / f"a.{name}"
            soundfile.write(path, tone(440, seconds=0.2, rate=16000), 16000)
            contents[name] = path.read_bytes()
    return contents


def _stylized(
    warm: Warm,
    small: Path,
    classifier: Path,
    name: str,
    content: bytes,
) -> Outcome:
    """Read a block at a time."""
    with place() as folder:
        (folder / name).write_bytes(content)
        (folder / "pairs.csv").write_text(f"id,content,style\nx,{name},{small / 'style.wav'}\n")
        stylize = ("stylize", "--pairs", "pairs.csv", "--classifier", classifier, "--out", "out")
        return attempt(warm, folder, *stylize, *QUICK, out="out", named=name)


def _preprocessed(
    warm: Warm,
    small: Path,
    classifier: Path,
    name: str,
    content: bytes,
) -> Outcome:
    """Read from memory, in parts."""
    with place() as folder:
        for label in ("a", "b"):
            (folder / "set" / label).mkdir(parents=True)
            (folder / "set" / label / "x.wav").hardlink_to(small / f"{label}.wav")
        (folder / "set" / "a" / name).write_bytes(content)
        read = ("preprocess", "--data", "set", "--out", "out", *SETTINGS, "--max-failures", 0)
        return attempt(warm, folder, *read, out="out", named=name)


READERS = (_stylized, _preprocessed)


@pytest.mark.slow
def test_damaged_recordings(
    recordings: dict[str, bytes],
    warm: Warm,
    small: Path,
    classifier: Path,
) -> None:
    def one(drawn: tuple[str, Damage, int]) -> Outcome:
        name, damage, reader = drawn
        content = damage.of(recordings[name], 64)
        return READERS[reader](warm, small, classifier, f"bad.{name}", content)

    inputs = st.tuples(st.sampled_from(FORMATS), damages(), st.integers(0, 1))
    fuzz("damaged recording", inputs, one)


def wav(values: dict[str, int], samples: bytes) -> bytes:
    """A WAV file with whatever its header claims."""
    form = struct.pack(
        "<HHIIHH",
        values["tag"],
        values["channels"],
        values["rate"],
        values["bytes_a_second"],
        values["align"],
        values["bits"],
    )
    chunks = b"fmt " + struct.pack("<I", values["fmt"]) + form
    chunks += b"data" + struct.pack("<I", values["data"]) + samples
    return b"RIFF" + struct.pack("<I", values["riff"]) + b"WAVE" + chunks


_INT = [0, 1, 2, 3, 7, 8, 16, 1000, 1024, 1025, 65535]
_LONG = [0, 1, 10, 999, 8000, 22050, 768_001, 10**6, 2**31 - 1, 2**31, 4 * 10**9, 2**32 - 1]


def _headers() -> st.SearchStrategy[dict[str, int]]:
    right = {
        "tag": 1,
        "channels": 1,
        "rate": 16000,
        "bytes_a_second": 32000,
        "align": 2,
        "bits": 16,
        "fmt": 16,
        "data": 8000,
        "riff": 8036,
    }
    odd = st.one_of(
        st.tuples(st.just("tag"), st.sampled_from([0, 1, 2, 3, 6, 7, 17, 85, 0xFFFE, 0xFFFF])),
        st.tuples(st.sampled_from(["channels", "align", "bits"]), st.sampled_from(_INT)),
        st.tuples(st.sampled_from(["rate", "rate", "data", "fmt"]), st.sampled_from(_LONG)),
        st.tuples(st.sampled_from(["riff", "bytes_a_second"]), st.sampled_from(_LONG)),
    )
    return st.lists(odd, min_size=1, max_size=3).map(lambda changed: right | dict(changed))


_SAMPLES: dict[str, Callable[[], bytes]] = {
    "tone": lambda: (tone(seconds=0.25, rate=16000) * 30000).astype("<i2").tobytes(),
    "none": lambda: b"",
    "NaN": lambda: np.full(2000, np.nan, "<f4").tobytes(),
    "infinite": lambda: np.full(2000, np.inf, "<f4").tobytes(),
    "enormous": lambda: np.full(2000, 1e38, "<f4").tobytes(),
    "zeros": lambda: bytes(8000),
}


@pytest.mark.slow
def test_made_up_wav_files(warm: Warm, small: Path, classifier: Path) -> None:
    def one(drawn: tuple[dict[str, int], str, int]) -> Outcome:
        header, samples, reader = drawn
        if samples in ("NaN", "infinite", "enormous"):
            header = {**header, "tag": 3, "bits": 32, "align": 4}
        content = wav(header, _SAMPLES[samples]())
        return READERS[reader](warm, small, classifier, "bad.wav", content)

    inputs = st.tuples(_headers(), st.sampled_from(list(_SAMPLES)), st.integers(0, 1))
    fuzz("made-up WAV", inputs, one)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_good_recordings_are_taken(
    name: str,
    recordings: dict[str, bytes],
    warm: Warm,
    small: Path,
    classifier: Path,
) -> None:
    for read in READERS:
        assert read(warm, small, classifier, f"good.{name}", recordings[name]).code == 0
