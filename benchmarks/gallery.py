"""Makes the sounds of docs/gallery.md: what goes in and what comes out, kind by kind.

    python -m benchmarks.gallery [--classifier CLASSIFIER]

The recordings are those that come with audiostyle, drum kits that FluidR3_GM plays (MIT; needs
fluidsynth and mido), and a wind that is computed here. The default method stylizes them with its
default settings. Writes docs/sounds/KIND-ROLE.mp3, prints what the page says of each, and last a
line of JSON.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import soundfile

from audiostyle import artifacts, audio
from audiostyle.audio import Samples
from benchmarks import bundled
from benchmarks.measures import RATE
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.reconstruct import reconstruct
from components.stylize.config import StylizeConfig
from components.stylize.pairs import Pair
from components.stylize.stylize import stylize

SOUNDS = bundled.ROOT / "docs" / "sounds"
_SECONDS = 3.0
_ROLES = ("content", "style", "result")

_Source = Path | Callable[[], Samples]


@dataclass(frozen=True)
class Exhibit:
    """A pair of the gallery. content, style: a bundled recording, or what computes one."""

    name: str
    content: _Source
    style: _Source


def beat(program: int, seed: int) -> Samples:
    """A beat by a kit of FluidR3_GM."""
    from benchmarks.quality import drum_kits

    kit = drum_kits.Kit(drum_kits.FLUID, program)
    return drum_kits.play(kit, drum_kits.compose_beat(np.random.default_rng(seed)))


def wind() -> Samples:
    """Gusts: noise through a band that rises and falls."""
    random = np.random.default_rng(5)
    count = round(_SECONDS * RATE)
    at = np.arange(count) / RATE
    gust = 0.5 + 0.3 * np.sin(2 * np.pi * 0.7 * at) + 0.2 * np.sin(2 * np.pi * 1.9 * at + 1)
    spectrum = np.fft.rfft(random.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    low, high = (
        np.fft.irfft(spectrum * np.exp(-np.square(np.log2(np.maximum(hertz, 1) / center))), count)
        for center in (300, 1200)
    )
    samples = low / low.std() * (1 - gust) + high / high.std() * gust
    return np.asarray(0.1 * samples * (0.4 + gust), np.float32)


_PAIRS, _TEST = bundled.RECORDINGS / "pairs", bundled.RECORDINGS / "test"
EXHIBITS = (
    *(
        Exhibit(name, _PAIRS / pair / "content.ogg", _PAIRS / pair / "style.ogg")
        for name, pair in (
            ("melody", "trumpet-clarinet"),
            ("bowed", "violin-accordion"),
            ("plucked", "guitar-piano"),
        )
    ),
    Exhibit("chords", _TEST / "guitar/test-00.ogg", _TEST / "organ/test-03.ogg"),
    Exhibit("beat", partial(beat, 0, 1), partial(beat, 25, 2)),
    Exhibit("texture", _PAIRS / "flute-violin/content.ogg", wind),
)


@click.command()
@click.option("--classifier", type=click.Path(path_type=Path), help="a classifier artifact")
def main(classifier: Path | None) -> None:
    """Make the sounds of the gallery."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pairs = [_written(exhibit, folder) for exhibit in EXHIBITS]
        model = bundled.classifier(classifier)
        stylize(pairs, model, folder / "stylized", StylizeConfig())
        reconstruct(folder / "stylized", folder / "audio", ReconstructConfig(), report=False)
        rows = {r["id"]: r for r in artifacts.read_table(folder / "audio" / "items.jsonl")}
        SOUNDS.mkdir(parents=True, exist_ok=True)
        for pair in pairs:
            result = folder / "audio" / rows[pair.id]["file"]
            for role, path in zip(_ROLES, (pair.content, pair.style, result), strict=True):
                _compress(Path(path), SOUNDS / f"{pair.id}-{role}.mp3")
            figures = {k: v for k, v in rows[pair.id].items() if isinstance(v, float)}
            print(pair.id, *(f"{name} {value:.3f}" for name, value in figures.items()), sep="  ")
    sizes = {path.name: path.stat().st_size for path in sorted(SOUNDS.glob("*.mp3"))}
    print(json.dumps({"bytes": sum(sizes.values()), "files": len(sizes)}))


def _written(exhibit: Exhibit, folder: Path) -> Pair:
    paths = []
    for role, source in zip(_ROLES, (exhibit.content, exhibit.style), strict=False):
        path = source if isinstance(source, Path) else folder / f"{exhibit.name}-{role}.wav"
        if not isinstance(source, Path):
            soundfile.write(path, source(), RATE, subtype="FLOAT")
        paths.append(path)
    return Pair(exhibit.name, *paths)


def _compress(source: Path, target: Path) -> None:
    """As MP3, which every browser plays, at half of the quality scale: about 20 kB for 3 s."""
    samples = audio.mono(audio.read(source))
    # The peak stays below full scale after encoding.
    samples = samples * min(1.0, 0.9 / max(float(np.abs(samples).max()), 1e-9))
    soundfile.write(
        target, samples, audio.read(source).sample_rate, format="MP3", compression_level=0.5
    )


if __name__ == "__main__":
    main()
