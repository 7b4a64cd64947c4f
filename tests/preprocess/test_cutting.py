"""Which part of a recording becomes a clip; spectrograms are librosa's, for every config."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from conftest import noise, tone

from audiostyle import audio, spectrogram_set
from audiostyle.audio import Recording, Samples
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.spectrogram_set import Clip, Failure
from components.preprocess.cutting import CutConfig, cut
from components.preprocess.preprocess import PreprocessConfig, list_results, preprocess


def three(rate: int) -> Recording:
    """9 s, stereo: 300 Hz, then loud 700 Hz, then 1100 Hz."""
    parts = [tone(f, rate=rate, level=v) for f, v in ((300, 0.1), (700, 0.4), (1100, 0.1))]
    return Recording(np.stack([np.concatenate(parts)] * 2), rate)


def pitch(samples: Samples, rate: int) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize(
    "long, wanted",
    [
        ("first", [300]),
        ("centre", [700]),
        ("loudest", [700]),
        ("windows", [300, 700, 1100]),
    ],
)
def test_long_recordings(long: str, wanted: list[int], rate: int) -> None:
    config = CutConfig.parse({"long": long}, "test")
    clips = cut(three(rate), 22050, 66150, config)
    assert clips.shape == (len(wanted), 66150)
    assert clips.dtype == np.float32
    assert [pitch(clip, 22050) for clip in clips] == pytest.approx(wanted, abs=1)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_a_part_resampled_alone_is_the_part_of_the_whole(rate: int) -> None:
    sound = Recording(noise(seconds=8, rate=rate)[None], rate)
    whole = audio.resample(sound, 22050).samples[0]
    for long, start in (("first", 0), ("centre", round(2.5 * 22050))):
        clip = cut(sound, 22050, 66150, CutConfig.parse({"long": long}, "test"))[0]
        error = np.abs(clip - whole[start : start + 66150]).max()
        assert error < 1e-4 * np.abs(whole).max()


def test_windows_with_a_hop_and_whole_ones_only() -> None:
    sound = Recording(noise(seconds=7.9, rate=22050)[None], 22050)
    clips = cut(sound, 22050, 66150, CutConfig(long="windows", hop_seconds=1.5))
    assert len(clips) == 4
    for number, clip in enumerate(clips):
        start = number * 33075
        np.testing.assert_array_equal(clip, sound.samples[0, start : start + 66150])


@pytest.mark.parametrize("long", ["first", "centre", "loudest", "windows"])
def test_short_recordings(long: str) -> None:
    sound = Recording(noise(seconds=1)[None], 22050)
    padded = cut(sound, 22050, 66150, CutConfig.parse({"long": long}, "test"))
    assert padded.shape == (1, 66150)
    np.testing.assert_array_equal(padded[0, :22050], sound.samples[0])
    assert not padded[0, 22050:].any()
    looped = cut(sound, 22050, 66150, CutConfig.parse({"long": long, "short": "loop"}, "test"))
    np.testing.assert_array_equal(looped[0], np.tile(sound.samples[0], 3))


SIZES = [(512, 128), (1024, 512), (2048, 512), (2048, 1000), (4096, 2048)]


@pytest.mark.parametrize("size, window", itertools.product(SIZES, ["hann", "hamming", "blackman"]))
@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_spectrograms_are_librosas(
    size: tuple[int, int], window: str, rate: int, tmp_path: Path
) -> None:
    values = {"sample_rate": rate, "n_fft": size[0], "hop_length": size[1], "window": window}
    config = SpectrogramConfig.parse(values, "test")
    sound = (noise(rate=rate, seconds=3.5) + tone(440, rate=rate, seconds=3.5)).clip(-1, 1)
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype="FLOAT")
    (result,) = list_results(tmp_path, [Clip("a.wav", "", "", "")], config)
    assert not isinstance(result, Failure)
    samples, _ = librosa.load(tmp_path / "a.wav", sr=rate, duration=config.clip_seconds)
    wanted = np.abs(
        librosa.stft(samples, n_fft=size[0], hop_length=size[1], window=window, pad_mode="constant")
    )
    assert np.abs(result[0][1].numpy() - wanted).max() < 1e-4 * wanted.max()


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 96000])
def test_resampled_spectrograms_are_librosas(rate: int, tmp_path: Path) -> None:
    """As UrbanSound8K: other rates, stereo."""
    left = (noise(rate=rate, seconds=4) + tone(440, rate=rate, seconds=4)).clip(-1, 1)
    soundfile.write(tmp_path / "a.wav", np.stack([left, left[::-1]], 1), rate, subtype="FLOAT")
    config = SpectrogramConfig()
    (result,) = list_results(tmp_path, [Clip("a.wav", "", "", "")], config)
    assert not isinstance(result, Failure)
    samples, _ = librosa.load(tmp_path / "a.wav", sr=22050, res_type="soxr_hq")
    wanted = np.abs(librosa.stft(samples[: config.clip_samples], pad_mode="constant"))
    assert np.abs(result[0][1].numpy() - wanted).max() < 1e-4 * wanted.max()


@pytest.mark.parametrize(
    "subtype, bits",
    [
        ("PCM_U8", 8),
        ("PCM_16", 16),
        ("PCM_24", 24),
        ("PCM_32", 24),
        ("FLOAT", 24),
        ("DOUBLE", 24),
        ("IMA_ADPCM", 6),
        ("MS_ADPCM", 6),
    ],
)
def test_encodings_of_wav(subtype: str, bits: int, tmp_path: Path) -> None:
    sound = tone(440, rate=44100, harmonics=4)
    soundfile.write(tmp_path / "a.wav", np.stack([sound, sound], 1), 44100, subtype=subtype)
    recording = audio.read("named", (tmp_path / "a.wav").read_bytes())
    clip = cut(recording, 44100, len(sound), CutConfig())[0]
    assert np.sqrt(np.mean((clip - sound) ** 2)) < 2.0 ** (1 - bits)


def test_windows_become_clips_of_one_group_and_silent_ones_are_left_out(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "data" / "train" / label).mkdir(parents=True)
    long = noise(seconds=40, rate=22050)
    long[5 * 22050 : 6 * 22050] = 0
    for name, sound in (("a/long", long), ("b/short", tone(440)), ("b/none", 0 * tone(440))):
        soundfile.write(tmp_path / "data" / "train" / f"{name}.wav", sound, 22050, "FLOAT")
    config = PreprocessConfig.parse(
        {
            "spectrogram": {"clip_seconds": 1},
            "cut": {"long": "windows", "hop_seconds": 1},
            "cache": str(tmp_path / "cache"),
            "max_failures": 0.5,
        },
        "test",
    )
    for name in ("cold", "warm"):
        preprocess(tmp_path / "data", tmp_path / name, config)
        made = spectrogram_set.read(tmp_path / name)
        starts = [c.start for c in made.clips if c.label == "a"]
        assert starts == [*range(5), *range(6, 40)]
        assert len({c.group for c in made.clips if c.label == "a"}) == 1
        magnitudes = torch.cat(list(made.shards()))
        assert len(magnitudes) == len(made.clips) == 39 + 3
        for index in (0, 20, 38):
            start = int(starts[index]) * 22050
            wanted = np.abs(librosa.stft(long[start : start + 22050], pad_mode="constant"))
            assert np.abs(magnitudes[index].numpy() - wanted).max() < 1e-4 * wanted.max()
        (failure,) = made.artifact.path("failures.jsonl").read_text().splitlines()
        assert "none.wav" in failure and "silent" in failure
    assert spectrogram_set.read(tmp_path / "cold").digest == made.digest


def test_a_silent_beginning_is_a_clip_where_the_recording_is_heard(tmp_path: Path) -> None:
    sound = tone(440, seconds=5)
    sound[: 4 * 22050] = 0
    soundfile.write(tmp_path / "a.wav", sound, 22050)
    (first,) = list_results(tmp_path, [Clip("a.wav", "", "", "")], SpectrogramConfig())
    assert not isinstance(first, Failure) and not first[0][1].any()
    soundfile.write(tmp_path / "a.wav", 0 * sound, 22050)
    (none,) = list_results(tmp_path, [Clip("a.wav", "", "", "")], SpectrogramConfig())
    assert isinstance(none, Failure) and "silent" in none.reason


_PEAK = """
import re, sys
from pathlib import Path
from components.preprocess.preprocess import PreprocessConfig, preprocess
config = {"cut": {"long": sys.argv[3]}, "workers": 1}
preprocess(sys.argv[1], sys.argv[2], PreprocessConfig.parse(config, "test"))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("long", ["windows", "loudest"])
def test_memory_does_not_grow_with_the_length_of_a_recording(long: str, tmp_path: Path) -> None:
    peaks = []
    for minutes in (4, 16):
        folder = tmp_path / str(minutes)
        for label in "ab":
            (folder / "train" / label).mkdir(parents=True)
            path = folder / "train" / label / "a.wav"
            with soundfile.SoundFile(path, "w", 44100, 2, "PCM_16") as file:
                block = np.stack([noise(seconds=10, rate=44100)] * 2, 1)
                for _ in range(minutes * 6):
                    file.write(block)
        command = [sys.executable, "-c", _PEAK, str(folder), str(tmp_path / "out"), long]
        # One worker, one arena, and arrays that go back to the system as they are freed: else the
        # peak depends on how threads happen to take turns.
        allocation = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **allocation}
        result = subprocess.run(
            command, capture_output=True, check=True, text=True, env=environment
        )
        peaks.append(int(result.stdout))
    # In memory, the longer ones' samples would take 340 MB each.
    assert peaks[1] < peaks[0] + 150_000
