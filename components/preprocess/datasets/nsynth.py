"""NSynth: notes of instruments, no instrument in two of its parts."""

from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.untrusted import json_value
from components.preprocess.datasets.base import Definition, File, Source, near, relative

_SPLITS = {"nsynth-train": "train", "nsynth-valid": "validation", "nsynth-test": "test"}
_MAGENTA = "http://download.magenta.tensorflow.org/datasets/nsynth"


def _parts(folder: Path) -> list[Path]:
    return [f for f in near(folder) if (f / "examples.json").is_file() and (f / "audio").is_dir()]


def _find(root: Path) -> Path | None:
    return next((folder for folder in near(root) if _parts(folder)), None)


def _read(root: Path, base: Path) -> list[Source]:
    sources = []
    for part in _parts(base):
        table = part / "examples.json"
        try:
            notes = json_value(table.read_bytes())
            for name, note in sorted(notes.items()):
                sources.append(
                    Source(
                        relative(part / "audio" / f"{name}.wav", root),
                        note["instrument_family_str"],
                        split=_SPLITS.get(part.name, ""),
                        group=note["instrument_str"],
                        source_id=name,
                    )
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{table}: is not NSynth's table of notes: {error!r}") from None
    return sources


DEFINITION = Definition(
    "nsynth",
    _find,
    _read,
    needs="folders with examples.json and audio/",
    rank=41,
    title="305,979 notes of 4 s of 1,006 instruments, 11 families",
    files=tuple(
        File(f"{_MAGENTA}/nsynth-{part}.jsonwav.tar.gz") for part in ("train", "valid", "test")
    ),
    size=25_000_000_000,
    license="CC BY 4.0",
    citation="J. Engel et al.: Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders,"
    " ICML 2017",
    note="no checksum was published",
)
