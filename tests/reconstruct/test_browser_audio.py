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
    url = publish(source, tmp_path / "report").url
    assert url.endswith(suffix)
    copy = audio.read(tmp_path / "report" / url)
    np.testing.assert_allclose(copy.samples, audio.read(source).samples, atol=1e-6)


@pytest.mark.parametrize(
    "name, file, saved",
    [
        ("Flute, take 2.flac", "Flute-take-2.flac", "Flute, take 2.flac"),
        ("../../etc/passwd", "etc-passwd.flac", "../../etc/passwd"),
        ("CON\0<>:|?*.flac", "CON.flac", "CON\0<>:|?*.flac"),
        ("ü" * 300 + ".flac", "audio.flac", "ü" * 300 + ".flac"),
        ("", "a.flac", "a.flac"),
    ],
)
def test_names(name: str, file: str, saved: str, tmp_path: Path) -> None:
    source = tmp_path / "a.flac"
    soundfile.write(source, tone(seconds=1), 22050)
    published = publish(source, tmp_path / "report", name)
    assert published.url == published.download
    assert Path(published.url).name == file
    assert published.file_name == saved
    assert (tmp_path / "report" / published.url).read_bytes() == source.read_bytes()


def test_a_result_is_given_away_as_it_is_though_a_copy_is_played(tmp_path: Path) -> None:
    source = tmp_path / "result.wav"
    soundfile.write(source, tone(seconds=1), 22050, subtype="DOUBLE")
    published = publish(source, tmp_path)
    assert (published.download, published.file_name) == ("./result.wav", "result.wav")
    assert published.url.endswith("/result.flac")


def test_a_header_that_states_no_sound_is_not_handed_to_a_browser(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    soundfile.write(source, tone(seconds=1), 22050)
    content = bytearray(source.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = bytes(4)
    source.write_bytes(content)
    copy = audio.read(tmp_path / "report" / publish(source, tmp_path / "report").url)
    assert copy.frames == 22050


@pytest.mark.parametrize("channels, rate", [(9, 48000), (1, 705_600)])
def test_beyond_what_flac_holds(channels: int, rate: int, tmp_path: Path) -> None:
    source = tmp_path / "a.caf"
    soundfile.write(source, np.stack([tone(seconds=0.2, rate=rate)] * channels, 1), rate)
    copy = audio.read(tmp_path / "report" / publish(source, tmp_path / "report").url)
    assert len(copy.samples) == 1 and copy.seconds == pytest.approx(0.2, abs=0.001)
