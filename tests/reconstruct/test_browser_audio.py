"""What browsers do not play is converted for the report's players."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import tone

from audiostyle import audio
from components.reconstruct.report.browser_audio import publish


@pytest.mark.parametrize(
    "form, subtype, suffix",
    [
        ("WAVEX", "PCM_24", ".flac"),
        ("WAVEX", "PCM_16", ".wav"),
        ("WAV", "PCM_24", ".wav"),
        ("WAV", "DOUBLE", ".flac"),
        ("CAF", "PCM_16", ".flac"),
    ],
)
def test_formats(form: str, subtype: str, suffix: str, tmp_path: Path) -> None:
    source = tmp_path / "a.x"
    soundfile.write(source, tone(seconds=1), 22050, format=form, subtype=subtype)
    url = publish(source, tmp_path / "report")
    assert url.endswith(suffix)
    copy = audio.read(tmp_path / "report" / url)
    np.testing.assert_allclose(copy.samples, audio.read(source).samples, atol=1e-6)


def test_a_header_that_states_no_sound_is_not_handed_to_a_browser(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    soundfile.write(source, tone(seconds=1), 22050)
    content = bytearray(source.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = bytes(4)
    source.write_bytes(content)
    copy = audio.read(tmp_path / "report" / publish(source, tmp_path / "report"))
    assert copy.frames == 22050


@pytest.mark.parametrize("channels, rate", [(9, 48000), (1, 705_600)])
def test_beyond_what_flac_holds(channels: int, rate: int, tmp_path: Path) -> None:
    source = tmp_path / "a.caf"
    soundfile.write(source, np.stack([tone(seconds=0.2, rate=rate)] * channels, 1), rate)
    copy = audio.read(tmp_path / "report" / publish(source, tmp_path / "report"))
    assert len(copy.samples) == 1 and copy.seconds == pytest.approx(0.2, abs=0.001)
