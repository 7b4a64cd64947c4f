"""Notes to samples with what plays a font, and samples to files whose bytes repeat.

All clips of one font and one room go through the synthesizer in one MIDI file, one after the other
in slots, since loading FluidR3 (148 MB) takes longer than playing a clip.
"""

import hashlib
import io
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import sampler
import sonivox
import soundfile
import soxr
from catalogue import Font, Kind, Preset
from numpy.typing import NDArray
from phrases import CLIP_SECONDS, Note
from zones import files, note_folder, patch_path

SAMPLE_RATE = 22_050  # Hz, of the clips
SYNTH_RATE = 44_100  # Hz, of the synthesizers
CLIP_SAMPLES = round(CLIP_SECONDS * SAMPLE_RATE)
# A clip and time for its echo to die. 6.4 s are 4,410 of fluidsynth's blocks of 64 samples, to
# whose edges it rounds events: so the same phrase has the same onsets in every slot.
SLOT_SECONDS = 6.4
TARGET_RMS = 10 ** (-20 / 20)
# Vorbis overshoots; the promise is -1 dBFS after decoding.
PEAK_LIMIT = 10 ** (-2.5 / 20)
FADE_SECONDS = 0.02


class MissingToolError(RuntimeError):
    """A program or a soundfont is not installed; the message names its Debian package."""


@dataclass(frozen=True)
class Take:
    """One clip to play: notes with starts in [0, 3) s, a preset, a detuning in cents."""

    notes: tuple[Note, ...]
    preset: Preset
    cents: float
    vibrato: int  # MIDI modulation wheel, 0-127


def require(tool: str, package: str) -> str:
    """The path of a program; raises MissingToolError with the Debian package to install."""
    path = shutil.which(tool)
    if path is None:
        raise MissingToolError(f"{tool} is not on PATH: apt-get install {package}")
    return path


def require_font(font: Font, presets: Iterable[Preset]) -> None:
    """Raise MissingToolError if the soundfont is not there, ValueError if it is another version.

    The digest is of what :func:`zones.files` lists, one after another.
    """
    if not font.path.exists():
        installer = "npm install" if font.kind is Kind.NOTES else "apt-get install"
        raise MissingToolError(
            f"{font.path} (font {font.name}) is missing: {installer} {font.package}, "
            f"or say where it is"
        )
    digest = hashlib.sha256()
    for path in files(font, presets):
        digest.update(path.read_bytes())
    if digest.hexdigest() != font.sha256:
        raise ValueError(
            f"{font.path} has SHA-256 {digest.hexdigest()}, not {font.sha256}, which is that of "
            f"{font.package} {font.version}: other bytes make other recordings"
        )


def midi_of(takes: Sequence[Take]) -> mido.MidiFile:
    """A MIDI file with take k in the slot that starts at k * ``SLOT_SECONDS``; a tick is 1 ms."""
    events: list[tuple[int, int, mido.Message]] = []  # (ms, order within a ms, message)
    for slot, take in enumerate(takes):
        start = round(1000 * SLOT_SECONDS * slot)
        bend = round(take.cents / 200 * 8192)  # the default bend range is two semitones
        setup = [
            mido.Message("control_change", control=120, value=0),
            mido.Message("control_change", control=0, value=take.preset.bank),
            mido.Message("program_change", program=take.preset.program),
            mido.Message("control_change", control=1, value=take.vibrato),
            mido.Message("pitchwheel", pitch=bend),
        ]
        # Half a second early, where the previous slot is silent.
        events += [(max(0, start - 500), k, message) for k, message in enumerate(setup)]
        for note in take.notes:
            on = start + round(1000 * note.start)
            off = start + round(1000 * (note.start + note.duration))
            events.append((off, 10, mido.Message("note_off", note=note.pitch)))
            velocity = note.velocity
            events.append((on, 11, mido.Message("note_on", note=note.pitch, velocity=velocity)))
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000)])
    now = 0
    for time, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=time - now))
        now = time
    rest = round(1000 * SLOT_SECONDS * len(takes)) - now
    track.append(mido.MetaMessage("end_of_track", time=rest))
    return mido.MidiFile(type=0, ticks_per_beat=1000, tracks=[track])


def render(font: Font, takes: Sequence[Take], reverb: bool) -> list[NDArray[np.float32]]:
    """Play the takes; a list of [CLIP_SAMPLES] arrays at ``SAMPLE_RATE``, leveled by ``level``.

    With ``reverb``, the synthesizer's own reverb (and fluidsynth's chorus) is on.
    """
    play = {
        Kind.SF2: _play_fluidsynth,
        Kind.GUS: _play_timidity,
        Kind.SONIVOX: _play_sonivox,
        Kind.NOTES: _play_notes,
    }[font.kind]
    mono, rate = play(font, takes, reverb)
    clips = []
    for slot in range(len(takes)):
        start = round(SLOT_SECONDS * slot * rate)
        clip = mono[start : start + round(CLIP_SECONDS * rate)]
        clip = np.pad(clip, (0, round(CLIP_SECONDS * rate) - len(clip)))
        if rate != SAMPLE_RATE:
            clip = soxr.resample(clip, rate, SAMPLE_RATE, "VHQ")
        clips.append(level(clip))
    return clips


Played = tuple[NDArray[np.float32], int]  # all slots, mono, and the sampling rate in Hz


def _play_fluidsynth(font: Font, takes: Sequence[Take], reverb: bool) -> Played:
    switch = "1" if reverb else "0"
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder, "takes.mid"), Path(folder, "takes.wav")
        midi_of(takes).save(midi)
        # Gain 0.1 keeps four voices below full scale; float samples lose nothing by it.
        command = [
            *(require("fluidsynth", "fluidsynth"), "-niq", "-g", "0.1", "-R", switch, "-C", switch),
            *("-r", str(SYNTH_RATE), "-T", "wav", "-O", "float", "-F", str(wav)),
            *(str(font.path), str(midi)),
        ]
        return _run(command, wav)


def _play_timidity(font: Font, takes: Sequence[Take], reverb: bool) -> Played:
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder, "takes.mid"), Path(folder, "takes.wav")
        midi_of(takes).save(midi)
        config = midi.with_suffix(".cfg")
        lines = [f"dir {font.path}", "bank 0"]
        lines += [
            f"{preset.program} {patch_path(font.path, preset)}"
            for preset in sorted({take.preset for take in takes})
        ]
        config.write_text("\n".join(lines) + "\n")
        command = [
            *(require("timidity", "timidity"), "-c", str(config), "--preserve-silence", "-A30"),
            *("--no-polyphony-reduction", "-p256", "-EFchorus=d", "-EFdelay=d"),
            *(f"-EFreverb={'G,40' if reverb else 'd'}", "-s", str(SYNTH_RATE)),
            *("-Ow", "--output-24bit", "--output-stereo", "-o", str(wav), "-id", str(midi)),
        ]
        return _run(command, wav)


def _run(command: Sequence[str], wav: Path) -> Played:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    stereo, rate = soundfile.read(wav, dtype="float32", always_2d=True)
    return stereo.mean(axis=1), rate


def _play_sonivox(font: Font, takes: Sequence[Take], reverb: bool) -> Played:
    midi = io.BytesIO()
    midi_of(takes).save(file=midi)
    seconds = SLOT_SECONDS * len(takes)
    stereo, rate = sonivox.render(font.path, midi.getvalue(), seconds, reverb)
    return (stereo / np.float32(32768)).mean(axis=1), rate


def _play_notes(font: Font, takes: Sequence[Take], reverb: bool) -> Played:
    slots = []
    for slot, take in enumerate(takes):
        folder = note_folder(font.path, take.preset)
        x = sampler.play(folder, take.notes, take.cents, SLOT_SECONDS, SYNTH_RATE)
        slots.append(sampler.in_room(x, SYNTH_RATE, slot) if reverb else x)
    return np.concatenate(slots), SYNTH_RATE


def level(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fade the cut end and scale to -20 dBFS RMS, or less where the peak would pass -2.5 dBFS."""
    fade = round(FADE_SECONDS * SAMPLE_RATE)
    clip = clip.copy()
    clip[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    rms = float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
    peak = float(np.abs(clip).max())
    if rms == 0:
        raise ValueError("a clip is silent: its font has no samples for this program or range")
    return (clip * min(TARGET_RMS / rms, PEAK_LIMIT / peak)).astype(np.float32)


def write_ogg(path: Path, clip: NDArray[np.float32], quality: float) -> None:
    """Encode with oggenc; the stream's serial number comes from the path, so bytes repeat."""
    path.parent.mkdir(parents=True, exist_ok=True)
    serial = zlib.crc32("/".join(path.parts[-3:]).encode()) & 0x7FFFFFFF
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        soundfile.write(wav.name, clip, SAMPLE_RATE, subtype="PCM_24")
        tool = require("oggenc", "vorbis-tools")
        options = ["-Q", "-q", str(quality), "-s", str(serial), "-o", str(path)]
        subprocess.run([tool, *options, wav.name], check=True)
