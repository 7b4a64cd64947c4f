"""Drum kits of soundfonts, and beats that they play."""

import importlib
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audiostyle.audio import Recording, Samples
from benchmarks.measures import RATE, prepared
from benchmarks.pairs import FONT, SECONDS

FLUID = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
AVL = Path("/usr/share/sounds/sf2/Black_Pearl_4_LV2.sf2")
OPL3 = Path("/usr/share/sounds/sf2/OPL-3_FM_128M.sf2")
ZEPPELIN = Path("/usr/share/sounds/sf2/Red_Zeppelin_4_LV2.sf2")


@dataclass(frozen=True)
class Kit:
    """A drum kit: a program of a soundfont, on channel 10 or a bank of its own."""

    font: Path
    program: int
    channel: int = 9


KITS = {
    "development": (
        *(Kit(FONT, program) for program in (0, 16, 24, 25, 40)),
        Kit(ZEPPELIN, 0, 0),
    ),
    "heldout": (*(Kit(FLUID, program) for program in (8, 16, 24, 25, 32)), Kit(AVL, 0, 0)),
}
# For fitting alone: those of the development side, and synthesized ones.
KITS["further"] = (
    *KITS["development"],
    *(Kit(OPL3, program) for program in (0, 8, 16, 24, 25, 32, 40, 48)),
)


def kit_name(kit: Kit) -> str:
    """Its font and program."""
    return f"{kit.font.stem.split('_')[0]}{kit.program}"


def compose_beat(random: np.random.Generator) -> list[tuple[float, int, int]]:
    """A beat of 3 s: (start in seconds, key, velocity). Kick, snare, cymbals, some fills."""
    step = 60 / random.uniform(80, 140) / 4
    offset = random.uniform(0.01, 0.05)
    every = int(random.choice([2, 2, 4, 1]))
    accent = int(random.choice([46, 51, 42]))  # open hat, ride, or none
    kicks = {0, *(int(x) for x in random.choice([3, 6, 7, 8, 10, 11, 14], 3, replace=False))}
    hits = []
    for number in range(int((SECONDS - offset) / step)):
        at, place = offset + number * step, number % 16
        loud = int(random.integers(80, 120))
        if place in kicks:
            hits.append((at, 36, loud))
        if place in (4, 12):
            hits.append((at, 38, loud))
        if place % every == 0:
            cymbal = accent if place % 8 == 6 else 42
            hits.append((at, cymbal, int(random.integers(55, 100))))
        if place >= 14 and random.random() < 0.5:
            hits.append((at, int(random.choice([41, 45, 48])), loud))
    return hits


def play(kit: Kit, beat: Sequence[tuple[float, int, int]]) -> Samples:
    """A beat, as a kit plays it: float32 [samples] at RATE."""
    mido = importlib.import_module("mido")

    events = [(round(1000 * at), key, velocity) for at, key, velocity in beat]
    events += [(at + 250, key, 0) for at, key, _ in events]
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000)])
    track.append(mido.Message("program_change", channel=kit.channel, program=kit.program))
    now = 0
    for at, key, velocity in sorted(events):
        kind = "note_on" if velocity else "note_off"
        track.append(
            mido.Message(kind, channel=kit.channel, note=key, velocity=velocity, time=at - now)
        )
        now = at
    track.append(mido.MetaMessage("end_of_track", time=max(0, 4000 - now)))
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder, "beat.mid"), Path(folder, "beat.wav")
        mido.MidiFile(type=0, ticks_per_beat=1000, tracks=[track]).save(midi)
        options = ["-niq", "-g", "0.1", "-R", "0", "-C", "0", "-r", str(2 * RATE), "-T", "wav"]
        subprocess.run(
            ["fluidsynth", *options, "-O", "float", "-F", str(wav), str(kit.font), str(midi)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # fonts without a kit on channel 10 are warned of
        )
        stereo, rate = soundfile.read(wav, dtype="float32", always_2d=True)
    samples: Samples = stereo[: round(SECONDS * rate)].mean(1)
    return prepared(Recording(samples[None], rate))
