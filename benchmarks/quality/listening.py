"""A page to listen to: two pairs of each kind, as a person gets them.

    python -m benchmarks.quality.listening OUT [--side development|heldout] [--classifier DIR]

Writes OUT/audio/report.html, with content, style, target where there is one, and result of each.
"""

import argparse
import csv
from pathlib import Path

import soundfile

from benchmarks import bundled
from benchmarks.measures import RATE
from benchmarks.quality import kinds
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.reconstruct import reconstruct
from components.stylize.config import StylizeConfig
from components.stylize.pairs import read_pairs
from components.stylize.stylize import stylize

_EACH = 2


def page(out: Path, side: str, classifier: Path) -> Path:
    """Stylize two pairs of each kind that is there, and write the page. Returns its path."""
    recordings = out / "recordings"
    recordings.mkdir(parents=True, exist_ok=True)
    table = recordings / "pairs.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "content", "style", "target"])
        for kind in kinds.KINDS:
            for number, pair in enumerate(kinds.pairs_of(kind, side, _EACH)[0]):
                names = []
                for role in ("content", "style", "target"):
                    sound = getattr(pair, role)
                    # A target that says the same words at another speed is no ruler of a page.
                    if sound is None or (role == "target" and kind == "speech"):
                        names.append("")
                        continue
                    names.append(f"{kind}-{number}-{role}.flac")
                    soundfile.write(recordings / names[-1], sound.clip(-1, 1), RATE)
                rows.writerow([f"{kind}-{number}", *names])
    stylize(read_pairs(table), classifier, out / "stylized", StylizeConfig())
    reconstruct(out / "stylized", out / "audio", ReconstructConfig(), classifier)
    return out / "audio" / "report.html"


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", default="heldout", choices=kinds.SIDES)
    parser.add_argument("--classifier", type=Path, help="artifact; else one is trained, once")
    arguments = parser.parse_args()
    print(page(arguments.out, arguments.side, bundled.classifier(arguments.classifier)))


if __name__ == "__main__":
    main()
