"""Every sample is read, whatever a header states of their number; what is no audio is named."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import noise, tone

from audiostyle import audio
from audiostyle.audio import blocks
from audiostyle.errors import AudioError, InputError

RATE = 44100
SOUND = (tone(440, seconds=3, rate=RATE) + noise(seconds=3, rate=RATE, level=0.02)).astype("f4")


def encoded(folder: Path, form: str, subtype: str | None = None) -> bytearray:
    path = folder / "right"
    soundfile.write(path, SOUND, RATE, format=form, subtype=subtype)
    return bytearray(path.read_bytes())


def with_size(content: bytearray, chunk: bytes, size: bytes, after: int = 4) -> bytes:
    """The size of a chunk replaced; `after`: bytes from its name to the size."""
    at = content.index(chunk) + after
    content[at : at + len(size)] = size
    return bytes(content)


LIST = b"LIST" + struct.pack("<I", 18) + b"INFOISFT" + struct.pack("<I", 6) + b"Lavf\0\0"


def _rf64(content: bytearray, byte: bytes) -> bytes:
    return with_size(content, b"ds64", byte * 24, 8)


HEADERS: dict[str, tuple[str, Callable[[bytearray], bytes]]] = {
    "WAV of 0 bytes": ("WAV", lambda b: with_size(b, b"data", bytes(4))),
    "WAV of 0 bytes in a RIFF of 0": (
        "WAV",
        lambda b: with_size(bytearray(with_size(b, b"data", bytes(4))), b"RIFF", bytes(4)),
    ),
    "WAV of 2^32 - 1 bytes": ("WAV", lambda b: with_size(b, b"data", b"\xff" * 4)),
    "WAV of 2^31 - 1 bytes": ("WAV", lambda b: with_size(b, b"data", b"\xff\xff\xff\x7f")),
    "WAV of 2^32 - 1 bytes, then a LIST": (
        "WAV",
        lambda b: with_size(b, b"data", b"\xff" * 4) + LIST,
    ),
    "WAV of 0 bytes, then a LIST": ("WAV", lambda b: with_size(b, b"data", bytes(4)) + LIST),
    "WAV that states a part": ("WAV", lambda b: with_size(b, b"data", struct.pack("<I", 1000))),
    "WAV that is right, then a LIST": ("WAV", lambda b: bytes(b) + LIST),
    "RF64 of 0 bytes": ("RF64", lambda b: _rf64(b, b"\0")),
    "RF64 of 2^64 - 1 bytes": ("RF64", lambda b: _rf64(b, b"\xff")),
    "AIFF of 0 bytes": ("AIFF", lambda b: with_size(b, b"SSND", bytes(4))),
    "CAF of 0 bytes": ("CAF", lambda b: with_size(b, b"data", bytes(8))),
    "CAF of -1 bytes": ("CAF", lambda b: with_size(b, b"data", b"\xff" * 8)),
    "W64 of 0 bytes": ("W64", lambda b: with_size(b, b"data", bytes(8), 16)),
    "AU of 0 bytes": ("AU", lambda b: with_size(b, b".snd", bytes(4), 8)),
    "AU of unknown size": ("AU", lambda b: with_size(b, b".snd", b"\xff" * 4, 8)),
    "FLAC of 0 samples": ("FLAC", lambda b: flac(b, 0)),
    "FLAC that states a part": ("FLAC", lambda b: flac(b, 1000)),
    "FLAC that states more": ("FLAC", lambda b: flac(b, 100 * RATE)),
}


def flac(content: bytearray, samples: int) -> bytes:
    content[21] = content[21] & 0xF0
    content[22:26] = struct.pack(">I", samples)
    return bytes(content)


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_are_wrong_or_were_never_finished(name: str, tmp_path: Path) -> None:
    form, change = HEADERS[name]
    right = audio.read("right", bytes(encoded(tmp_path, form))).samples
    content = change(encoded(tmp_path, form))
    path = tmp_path / "wrong.x"
    path.write_bytes(content)
    for recording in (audio.read(path), audio.read(path, content)):
        np.testing.assert_array_equal(recording.samples, right)
    np.testing.assert_array_equal(np.concatenate(list(blocks.blocks(path)), 1), right)
    with audio.opening(path) as file:
        assert file.frames == len(SOUND)
        np.testing.assert_array_equal(file.part(70000, 70100).samples, right[:, 70000:70100])


def test_an_empty_wav_with_chunks_behind_is_empty(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
    content = (tmp_path / "a.wav").read_bytes() + LIST
    with pytest.raises(AudioError, match="empty"):
        audio.read("a.wav", content)


def mp3(folder: Path, rate: int, channels: int) -> tuple[bytes, bytes]:
    """VBR that begins quiet; its first frame, which states the length, and the others."""
    loudness = np.repeat([0.003, 0.3], 3 * rate)[:, None]
    sound = noise(seconds=6 * channels, rate=rate).reshape(-1, channels) * 5 * loudness
    path = folder / "full.mp3"
    with soundfile.SoundFile(
        path,
        "w",
        rate,
        channels,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=0.6,
        bitrate_mode="VARIABLE",
    ) as file:
        file.write(sound.clip(-1, 1))
    content = path.read_bytes()
    second = content.index(content[:2], 4)
    return content[:second], content[second:]


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("before", ["nothing", "part of a frame", "a picture"])
def test_mp3_without_a_header(rate: int, channels: int, before: str, tmp_path: Path) -> None:
    _, rest = mp3(tmp_path, rate, channels)
    full = audio.read(tmp_path / "full.mp3").samples
    size = 300_000
    tag = b"ID3\x03\0\0" + bytes(size >> 7 * k & 127 for k in (3, 2, 1, 0)) + bytes(size)
    front = {"nothing": b"", "part of a frame": rest[3:40], "a picture": tag}[before]
    path = tmp_path / "cut.mp3"
    path.write_bytes(front + rest)
    samples = audio.read(path).samples
    # Nothing is trimmed where no header states the encoder's delay.
    delay = 1105
    assert samples.shape[1] % 576 == 0 and samples.shape[1] >= full.shape[1] + delay - 576
    length = min(full.shape[1], samples.shape[1] - delay)
    late = slice(2 * rate, length)
    np.testing.assert_allclose(samples[:, delay:][:, late], full[:, late], atol=1e-4)
    np.testing.assert_array_equal(audio.read(path, path.read_bytes()).samples, samples)
    with audio.opening(path) as file:
        assert file.frames == samples.shape[1]
        place = 5 * rate
        part = file.part(place, place + 500).samples
    np.testing.assert_allclose(part, samples[:, place : place + 500], atol=1e-6)


@pytest.mark.parametrize("form", ["MP3", "OGG"])
def test_files_that_were_joined(form: str, tmp_path: Path) -> None:
    content = bytes(encoded(tmp_path, form))
    one = audio.read("x." + form.lower(), content).samples
    path = tmp_path / f"two.{form.lower()}"
    path.write_bytes(content + content)
    two = audio.read(path).samples
    assert two.shape[1] == pytest.approx(2 * one.shape[1], abs=3000)
    np.testing.assert_allclose(two[:, : one.shape[1] - 3000], one[:, :-3000], atol=1e-4)
    np.testing.assert_allclose(two[:, -RATE:-3000], one[:, -RATE:-3000], atol=1e-3)
    with audio.opening(path) as file:
        assert file.frames == two.shape[1]
        part = file.part(200_000, 200_500).samples
    np.testing.assert_allclose(part, two[:, 200_000:200_500], atol=1e-5)


BESIDE_FLAC = {
    "nothing": b"",
    "ID3v1": b"TAG" + bytes(125),
    "APEv2": b"APETAGEX" + bytes(24),
    "zeros": bytes(9999),
    "a chunk": LIST,
    "ID3v2": b"ID3\4\0\0\0\0\1\2" + bytes(130),
}


@pytest.mark.parametrize("after", BESIDE_FLAC)
@pytest.mark.parametrize("before", ["nothing", "ID3v2"])
@pytest.mark.parametrize("stated", [len(SOUND), 0])
def test_flac_between_tags(after: str, before: str, stated: int, tmp_path: Path) -> None:
    content = flac(encoded(tmp_path, "FLAC"), stated)
    content = BESIDE_FLAC[before] + content + BESIDE_FLAC[after]
    path = tmp_path / "tagged.flac"
    path.write_bytes(content)
    right = audio.read(tmp_path / "right").samples
    for recording in (audio.read(path), audio.read(path, content)):
        np.testing.assert_array_equal(recording.samples, right)
    with audio.opening(path) as file:
        assert file.frames == len(SOUND)
        np.testing.assert_array_equal(file.part(70000, 70100).samples, right[:, 70000:70100])


@pytest.mark.parametrize("size", [None, 0, 2**32 - 1])
@pytest.mark.parametrize("is_padded", [True, False])
def test_a_wav_with_large_and_odd_chunks_before_the_sound(
    is_padded: bool, size: int | None, tmp_path: Path
) -> None:
    """Chunks without the byte that pads them, and one as large as a picture, in a cut-off file."""
    content = encoded(tmp_path, "WAV")
    if size is not None:
        content = bytearray(with_size(content, b"data", struct.pack("<I", size)))
    odd = b"LIST" + struct.pack("<I", 17) + b"INFOISFT" + struct.pack("<I", 5) + b"Lavf5"
    large = b"id3 " + struct.pack("<I", 3_000_000) + bytes(3_000_000)
    padding = bytes(is_padded)
    changed = content[:12] + odd + padding + large + odd + padding + content[12:]
    right = audio.read(tmp_path / "right").samples
    np.testing.assert_array_equal(audio.read("a.wav", bytes(changed)).samples, right)


def test_chunks_that_keep_a_reader_busy() -> None:
    """Each ended after minutes, as chunks were gone through from every one of them again."""
    sound = (np.asarray(SOUND[:4000]) * 30000).astype("<i2").tobytes()
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    many = b"RIFF\xff\xff\xff\x7fWAVE" + b"JUNK\0\0\0\0" * 300_000 + form + b"data\0\0\0\0"
    with pytest.raises(AudioError, match="cannot be decoded"):
        audio.read("a.wav", many + sound)
    for end in (b"\1" * 16, b"LIST\xff\xff\xff\x0f"):
        begin = b"RIFF\xff\xff\xff\x7fWAVE" + form + b"data" + b"\xff" * 4
        recording = audio.read("b.wav", begin + sound + b"LIST\0\0\0\0" * 130_000 + end)
        assert recording.frames >= 4000


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_16", "NMS_ADPCM_32"])
def test_sample_formats_without_seeking(subtype: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(200, seconds=3, rate=8000), 8000, subtype=subtype)
    samples = audio.read(path).samples
    assert samples.shape[1] == pytest.approx(24000, abs=400)
    np.testing.assert_array_equal(np.concatenate(list(blocks.blocks(path)), 1), samples)
    with audio.opening(path) as file:
        for start in (12000, 500):  # forth, and back again
            part = file.part(start, start + 300).samples
            np.testing.assert_array_equal(part, samples[:, start : start + 300])
        assert file.frames == samples.shape[1]


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.mp3", b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42" + bytes(20000), "it is MPEG-4 audio"),
        ("b.mp3", b"<!DOCTYPE html><html><body>404</body></html>", "it is a web page"),
        ("c.wav", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        ("d.wav", bytes(5000), "nothing but zeros"),
        ("e.flac", b"Not found\n", "it is text"),
        # These are decoded by their names alone where they have no header.
        ("f.au", b"Not found\n" * 900, "it is text"),
        ("g.vox", b"<!DOCTYPE html><html><body>404</body></html>" * 99, "it is a web page"),
        ("h.gsm", b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42" + bytes(20000), "it is MPEG-4 audio"),
        ("i.raw", bytes(range(256)) * 99, "no header says its sample rate"),
        ("j.RAW", b"Not found\n", "it is text"),
    ],
)
def test_what_is_no_audio_is_named(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=f"cannot be decoded as audio: .*{words}"):
        audio.read(tmp_path / name)


def test_an_ogg_without_a_whole_page_was_cut_off(tmp_path: Path) -> None:
    content = bytes(encoded(tmp_path, "OGG"))
    first = next(
        at
        for at in range(4, len(content))
        if content[at : at + 4] == b"OggS" and any(content[at + 6 : at + 14])
    )
    with pytest.raises(
        AudioError, match=r"no samples that can be decoded in \d+ bytes; was it cut"
    ):
        audio.read("a.ogg", content[: first + 2000])


def test_too_short_says_by_how_much() -> None:
    recording = audio.Recording(tone(seconds=1)[None, :2047], 22050)
    with pytest.raises(AudioError, match=r"2047 samples .*at least 2048 samples"):
        audio.require_sound(recording, "a.wav", seconds=2048 / 22050)


def test_nothing_of_the_decoder_reaches_the_terminal(tmp_path: Path) -> None:
    content = bytes(encoded(tmp_path, "MP3"))
    (tmp_path / "a.mp3").write_bytes(content[: len(content) // 2])
    (tmp_path / "b.mp3").write_bytes(bytes(5000) + content[1000:9000] + bytes(9000) + content)
    code = (
        "import sys; from audiostyle import audio\n"
        "for path in sys.argv[1:]: audio.read(path)\n"
        "print('still heard', file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.mp3"), str(tmp_path / "b.mp3")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == "still heard\n" and not result.stdout


@pytest.mark.parametrize("form", ["WAV", "AIFF", "CAF", "AU", "W64", "RF64", "FLAC", "OGG", "MP3"])
def test_cut_off_at_any_byte(form: str, tmp_path: Path) -> None:
    content = bytes(encoded(tmp_path, form))
    whole = audio.read("x." + form.lower(), content).samples
    for size in {*range(0, 200, 7), *range(200, len(content), len(content) // 23)}:
        try:
            part = audio.read("x." + form.lower(), content[:size]).samples
        except AudioError:
            continue
        assert part.shape[1] <= whole.shape[1] + 1152


def test_many_channels_cost_no_more_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((5000, 64), np.float32), 48000, subtype="FLOAT")
    assert max(part.size for part in blocks.blocks(path)) <= 2 * blocks.BLOCK


def test_channels_that_cancel_each_other_are_heard() -> None:
    left = noise(seconds=1)
    for other in (-left, -0.95 * left):
        recording = audio.Recording(np.stack([left, other]), 22050)
        np.testing.assert_array_equal(audio.mono(recording), left)
        facts = blocks.Facts(22050, 2)
        for _ in facts.through(np.array_split(recording.samples, 9, 1)):
            pass
        parts = np.array_split(recording.samples, 5, 1)
        np.testing.assert_array_equal(np.concatenate(list(blocks.mixed(parts, facts)), 1)[0], left)


@pytest.mark.parametrize("value", [0.0, 0.01, -0.5])
def test_a_constant_is_silent(value: float) -> None:
    recording = audio.Recording(np.full((2, 44100), value, np.float32), 44100)
    with pytest.raises(AudioError, match="is silent"):
        audio.require_sound(recording, "a.wav", seconds=0.1)


def test_level_is_that_of_the_sound_without_its_offset() -> None:
    sound = tone(seconds=2)[None]
    levels = []
    for offset in (0, 0.2):
        facts = blocks.Facts(22050, 1)
        for _ in facts.through(np.array_split(sound + np.float32(offset), 9, 1)):
            pass
        levels.append(facts.rms)
        assert facts.offsets[0, 0] == pytest.approx(offset, abs=1e-4)
    assert levels[0] == pytest.approx(levels[1], rel=1e-5)


@pytest.mark.parametrize(
    "name, channels, rate, frames, words",
    [
        ("a.flac", 9, 48000, 10, "FLAC holds at most 8 channels, not 9; use .wav"),
        ("a.flac", 2, 705_600, 10, "FLAC holds at most 655350 Hz, not 705600; use .wav"),
        ("a.flac", 2, 48000, 1 << 36, "FLAC holds at most 68719476735 samples a channel"),
        ("a.wav", 1025, 48000, 10, "WAV holds at most 1024 channels, not 1025"),
    ],
)
def test_limits_of_formats(name: str, channels: int, rate: int, frames: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        audio.check_writable(name, channels=channels, sample_rate=rate, frames=frames)


def test_a_wav_of_more_than_4_gib_becomes_rf64(tmp_path: Path) -> None:
    frames = 283_115_520
    # Few frames are written: what decides is how many are promised.
    with audio.writing(tmp_path / "a.wav", 48000, 8, frames=frames) as write:
        write(np.full((8, 1000), 0.5, np.float32))
    assert soundfile.info(tmp_path / "a.wav").format == "RF64"
    assert audio.read(tmp_path / "a.wav").samples.shape == (8, 1000)
    with audio.writing(tmp_path / "b.wav", 48000, 8, frames=1000) as write:
        write(np.full((8, 1000), 0.5, np.float32))
    assert soundfile.info(tmp_path / "b.wav").format == "WAV"


@pytest.mark.slow
def test_more_than_4_gib_are_read_back(tmp_path: Path) -> None:
    frames, block = 283_115_520, np.zeros((8, 1 << 20), np.float32)
    with audio.writing(tmp_path / "a.wav", 48000, 8, frames=frames) as write:
        for _ in range(frames // (1 << 20)):
            write(block)
        write(np.full((8, frames % (1 << 20)), 0.5, np.float32))
    with audio.opening(tmp_path / "a.wav") as file:
        assert file.frames == frames
        assert file.part(frames - 100, frames).frames == 100
