"""Which instruments are recorded, from which soundfonts and presets, and which keys are held out.

MIDI keys are semitones, 60 is middle C; General MIDI programs count from 0.
"""

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path


class Kind(Enum):
    """What a font is, which decides what plays it."""

    SF2 = auto()  # a file; fluidsynth
    GUS = auto()  # a folder of patches (``Tone_000/``); timidity
    SONIVOX = auto()  # a shared library that holds its sounds; see ``sonivox.py``
    NOTES = auto()  # a folder of packages with a recording a note; see ``sampler.py``


@dataclass(frozen=True)
class Font:
    """A collection of recorded instruments, and where it lies."""

    name: str
    kind: Kind
    path: Path
    package: str
    version: str
    license: str
    sha256: str  # of the file, or of all files used, in order of program


@dataclass(frozen=True, order=True)
class Preset:
    """What a MIDI channel is set to."""

    bank: int
    program: int


@dataclass(frozen=True)
class Instrument:
    """A General MIDI program of bank 0 and the MIDI keys that players find comfortable."""

    program: int
    low: int
    high: int
    polyphonic: bool = False
    vibrato: bool = False

    @property
    def preset(self) -> Preset:
        """What plays it in every font."""
        return Preset(0, self.program)


FLUIDR3 = Font(
    name="FluidR3_GM",
    kind=Kind.SF2,
    path=Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    package="fluid-soundfont-gm",
    version="3.1-5.3",
    license="MIT",
    sha256="74594e8f4250680adf590507a306655a299935343583256f3b722c48a1bc1cb0",
)
FREEPATS = Font(
    name="freepats",
    kind=Kind.GUS,
    path=Path("/usr/share/midi/freepats"),
    package="freepats",
    version="20060219-4",
    license="GPL with composition exception",
    sha256="597d471d24517aa945ddda22ddc4075d689bf96dcffd3f0fd17bf7901d131c36",
)
SONIVOX = Font(
    name="Sonivox",
    kind=Kind.SONIVOX,
    path=Path("/usr/lib/x86_64-linux-gnu/libsonivox.so.3"),
    package="libsonivox3",
    version="3.6.11-2",
    license="Apache-2.0",
    sha256="454605421408f5cc730bbe67f625e0d1f5ddf0f2ed4fe53b794a361417fb1e28",
)
VSCO2 = Font(
    name="VSCO2",
    kind=Kind.NOTES,
    path=Path("node_modules"),
    package="tonejs-instrument-*-mp3",
    version="1.1.1 and 1.1.2",
    license="CC-BY-3.0",
    sha256="a5c865624720860ad78ac7aacacf4c3d679b849ced53b042cd242e818b837fea",
)
GMBANK = Font(
    name="sf_GMbank",
    kind=Kind.SF2,
    path=Path("/usr/share/sounds/sf2/sf_GMbank.sf2"),
    package="csound-soundfont",
    version="1:6.18.1+dfsg-1",
    license="public domain",
    sha256="9f39fc53bd3a1a69f13cb486838944eded358b3b6e8afbd6c1c2c33675b2034b",
)

INSTRUMENTS = {
    "piano": Instrument(0, 40, 88, polyphonic=True),
    "harpsichord": Instrument(6, 41, 84, polyphonic=True),
    "xylophone": Instrument(13, 65, 96),
    "organ": Instrument(19, 43, 84, polyphonic=True),
    "accordion": Instrument(21, 53, 86, polyphonic=True),
    "guitar": Instrument(24, 42, 78, polyphonic=True),
    "violin": Instrument(40, 56, 88, vibrato=True),
    "cello": Instrument(42, 38, 70, vibrato=True),
    "trumpet": Instrument(56, 55, 82, vibrato=True),
    "saxophone": Instrument(65, 51, 80, vibrato=True),
    "clarinet": Instrument(71, 52, 86, vibrato=True),
    "flute": Instrument(73, 60, 91, vibrato=True),
}

# The instruments of which there are recorded notes, and the package of each.
NOTE_PACKAGES = {
    INSTRUMENTS[label].preset: f"tonejs-instrument-{label}-mp3"
    for label in ("piano", "xylophone", "organ", "violin", "trumpet", "flute")
}

# Further presets of the same instrument, for training only.
ALTERNATIVES = {
    (FLUIDR3.name, "piano"): (Preset(0, 1),),  # bright
    (FLUIDR3.name, "harpsichord"): (Preset(8, 6),),  # coupled
    (FLUIDR3.name, "organ"): (Preset(8, 19),),  # Church Organ 2
    (FLUIDR3.name, "accordion"): (Preset(8, 21),),  # Italian
    (FLUIDR3.name, "violin"): (Preset(8, 40),),  # slow attack
    (FLUIDR3.name, "saxophone"): (Preset(0, 66), Preset(0, 64)),  # tenor, soprano
    (FREEPATS.name, "piano"): (Preset(0, 1),),  # bright
    (FREEPATS.name, "accordion"): (Preset(0, 23),),  # tango
    (FREEPATS.name, "saxophone"): (Preset(0, 66), Preset(0, 64)),  # tenor, soprano
}

# Keys, first to last, that are another instrument's recordings there.
BORROWED = {(SONIVOX.name, "cello"): (56, 127)}  # the violin's

# The only keys, first to last, that the validation clips play. No training note touches a sample
# that the instrument's main preset uses anywhere in them.
HELD_OUT = {
    FLUIDR3.name: {
        "piano": (60, 66),
        "harpsichord": (66, 71),
        "xylophone": (72, 77),
        "organ": (58, 63),
        "accordion": (61, 66),
        "guitar": (54, 58),
        "violin": (65, 71),
        "cello": (52, 57),
        "trumpet": (67, 71),
        "saxophone": (64, 69),
        "clarinet": (63, 68),
        "flute": (76, 81),
    },
    FREEPATS.name: {
        "piano": (60, 66),
        "harpsichord": (76, 82),
        "xylophone": (79, 82),
        "organ": (57, 61),
        "accordion": (57, 63),
        "guitar": (53, 56),
        "violin": (71, 76),
        "cello": (61, 67),
        "trumpet": (71, 74),
        "saxophone": (67, 70),
        "clarinet": (73, 79),
        "flute": (69, 71),
    },
}
