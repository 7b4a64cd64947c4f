"""Files in and out: formats, errors that name the file, writes that are whole or not there."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import tone

from audiostyle import audio
from audiostyle.audio import Recording
from audiostyle.errors import AudioError, InputError


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_in(suffix: str, rate: int, channels: int, tmp_path: Path) -> None:
    samples = np.stack([tone(440, rate=rate, seconds=1)] * channels, 1)
    soundfile.write(tmp_path / f"a.{suffix}", samples, rate)
    recording = audio.resample(audio.read(tmp_path / f"a.{suffix}"), 22050)
    assert recording.samples.dtype == np.float32
    assert len(recording.samples) == channels
    assert recording.seconds == pytest.approx(1, abs=0.1)  # mp3 pads
    spectrum = np.abs(np.fft.rfft(audio.mono(recording)))
    assert spectrum.argmax() / recording.seconds == pytest.approx(440, abs=2)


@pytest.mark.parametrize("channels", [3, 6])
def test_many_channels(channels: int, tmp_path: Path) -> None:
    samples = np.stack([tone(100 * (k + 1), seconds=0.2) for k in range(channels)])
    audio.write(tmp_path / "a.wav", samples, 48000, subtype="FLOAT")
    recording = audio.read(tmp_path / "a.wav")
    np.testing.assert_array_equal(recording.samples, samples)
    assert recording.sample_rate == 48000


def unusable(folder: Path) -> dict[str, Path]:
    """A file of every kind that cannot be used, by a word of the error that it must get."""
    folder.mkdir(exist_ok=True)
    cases = {
        word: folder / f"{word.split()[0]}.wav"
        for word in ("empty", "decoded", "silent", "short", "finite", "exist", "file")
    }
    cases["empty"].write_bytes(b"")
    cases["decoded"].write_bytes(b"RIFF, or so it says" * 50)
    soundfile.write(cases["silent"], np.zeros(44100), 22050)
    soundfile.write(cases["short"], tone(seconds=0.01), 22050)
    broken = tone()
    broken[100] = np.nan
    soundfile.write(cases["finite"], broken, 22050, subtype="FLOAT")
    cases["file"].mkdir()
    return cases


@pytest.mark.parametrize("word", ["empty", "decoded", "silent", "short", "finite", "exist", "file"])
def test_unusable_files_are_named(word: str, tmp_path: Path) -> None:
    path = unusable(tmp_path)[word]
    with pytest.raises(AudioError, match=word) as caught:
        audio.require_sound(audio.read(path), path, seconds=0.1)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_no_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 22050)
    with pytest.raises(AudioError, match="empty"):
        audio.read(tmp_path / "a.wav")


def test_write_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.flac"
    audio.write(path, tone(), 22050, subtype="PCM_24")
    before = path.read_bytes()
    for bad in (np.full(100, 1.5, np.float32), np.full(100, np.nan, np.float32)):
        with pytest.raises(InputError, match=r"a\.flac"):
            audio.write(path, bad, 22050)
    with pytest.raises(InputError, match="FLAC holds at most 655350 Hz"):
        audio.write(path, tone(), 10**9)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["a.flac"]


@pytest.mark.parametrize("form", ["wav", "flac"])
@pytest.mark.parametrize("kilobytes", [0, 8, 1000])
def test_a_full_disk_is_named(form: str, kilobytes: int, tmp_path: Path) -> None:
    """The decoder says no more than "System error", which was a traceback."""
    limit = kilobytes * 1024
    program = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "import numpy as np\n"
        "from audiostyle import audio\n"
        "noise = np.random.default_rng(0).standard_normal((2, 200_000)) / 9\n"
        "try: audio.write(sys.argv[1], noise.astype(np.float32).clip(-1, 1), 44100)\n"
        "except OSError as error: print(error)\n"
    )
    path = tmp_path / f"a.{form}"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    is_room = limit > 900_000
    assert done.stderr == "" and done.stdout == (
        "" if is_room else f"[Errno 27] File too large: '{path}'\n"
    )
    assert path.exists() == is_room and len(list(tmp_path.iterdir())) == is_room


@pytest.mark.parametrize(
    "name, subtype", [("a.mp3", "PCM_16"), ("a", "PCM_16"), ("a.flac", "FLOAT")]
)
def test_formats_that_cannot_be_written(name: str, subtype: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=name):
        audio.write(tmp_path / name, tone(), 22050, subtype=subtype)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_resampling_keeps_level_and_image() -> None:
    left = tone(440, rate=44100)
    recording = Recording(np.stack([left, left / 4]), 44100)
    rms = np.sqrt(np.square(audio.resample(recording, 22050).samples).mean(1))
    np.testing.assert_allclose(rms, np.sqrt(np.square(recording.samples).mean(1)), rtol=0.01)
