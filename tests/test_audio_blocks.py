"""Recordings in blocks are the recordings as a whole."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import noise, tone
from test_audio import unusable

from audiostyle import audio
from audiostyle.audio import blocks as audio_blocks
from audiostyle.errors import AudioError, InputError


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.ogg", "x.mp3"])
def test_blocks_are_the_whole(name: str, tmp_path: Path) -> None:
    sound = np.stack([tone(seconds=4.1, rate=44100), noise(seconds=4.1, rate=44100)], 1)
    soundfile.write(tmp_path / name, sound, 44100)
    whole = audio.read(tmp_path / name).samples
    facts = audio_blocks.facts(tmp_path / name)
    blocks = list(facts.through(audio_blocks.blocks(tmp_path / name)))
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate(blocks, 1), whole)
    assert (facts.sample_rate, facts.channels, facts.samples) == (44100, 2, whole.shape[1])
    assert facts.peak == np.abs(whole).max()
    assert facts.rms == pytest.approx(np.sqrt(np.square(whole, dtype=np.float64).mean()))


def test_a_block_at_70_times_the_rate_comes_in_parts() -> None:
    sound = noise(seconds=4)[None].repeat(8, 0)
    parts = list(audio_blocks.resampled([sound], 22050, 1_536_000))
    # soxr gives out what it held back, too.
    assert max(part.size for part in parts) < 4 * 2 * audio_blocks.BLOCK
    whole = audio.resample(audio.Recording(sound, 22050), 1_536_000).samples
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole)


@pytest.mark.parametrize("rates", [(44100, 22050), (22050, 48000), (22050, 22050)])
def test_resampled_in_blocks(rates: tuple[int, int]) -> None:
    sound = np.stack([noise(seconds=2, rate=rates[0], seed=k) for k in (0, 1)])
    whole = audio.resample(audio.Recording(sound, rates[0]), rates[1]).samples
    parts = (sound[:, at : at + 5001] for at in range(0, sound.shape[1], 5001))
    output = np.concatenate(list(audio_blocks.resampled(parts, *rates)), 1)
    np.testing.assert_array_equal(output, whole)


@pytest.mark.parametrize("word", ["empty", "decoded", "silent", "short", "finite", "exist", "file"])
def test_what_is_unusable_is_named(word: str, tmp_path: Path) -> None:
    bad = unusable(tmp_path)[word]
    with pytest.raises(AudioError, match=word) as caught:
        facts = audio_blocks.facts(bad)
        for _ in facts.through(audio_blocks.blocks(bad)):
            pass
        audio_blocks.require_sound(facts, bad, seconds=0.1)
    assert caught.value.path == str(bad)


def test_writing_in_blocks_is_whole_or_not_at_all(tmp_path: Path) -> None:
    sound = noise(seconds=1)[None]
    with audio.writing(
        tmp_path / "new" / "x.wav", 22050, 1, frames=22050, subtype="FLOAT"
    ) as write:
        write(sound[:, :1000])
        write(sound[:, 1000:])
    np.testing.assert_array_equal(audio.read(tmp_path / "new" / "x.wav").samples, sound)
    with (
        pytest.raises(KeyError),
        audio.writing(tmp_path / "new" / "y.wav", 22050, 1, frames=22050) as write,
    ):
        write(sound)
        raise KeyError
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.wav"]
    with (
        pytest.raises(InputError, match=r"cannot write \.ogg"),
        audio.writing(tmp_path / "z.ogg", 22050, 1, frames=22050),
    ):
        pass
