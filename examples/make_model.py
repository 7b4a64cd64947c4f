"""Makes the bundled classifier again: `audiostyle train` on the bundled recordings.

    python examples/make_model.py [--workspace DIR]

The classifier, and its card with the licenses of the recordings, replace those in
audiostyle/bundled. With the same versions of the packages, on the same kind of CPU, the weights
are the same to the byte. --workspace takes the champion of a workspace in which `make run` has
trained it, instead of training for a minute.
"""

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from audiostyle import artifacts, bundled, files
from audiostyle.registry import Registry
from audiostyle.tracking_uris import sqlite_uri

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "examples" / "instruments"
# What the card says of the licenses comes from the recordings' manifest and README.
_LICENSE, _CREDITS = "## License\n", "## Credits and licenses of the sounds\n"


def main() -> None:
    """Train, unless a workspace is given, and replace what is bundled."""
    parser = argparse.ArgumentParser(description="Makes the bundled classifier again.")
    parser.add_argument("--workspace", type=Path, help="take the champion of this one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        workspace = options.workspace or folder / "workspace"
        if not options.workspace:
            words = ["train", str(RECORDINGS), "--workspace", str(workspace)]
            subprocess.run([sys.executable, "-m", "pipeline.cli", *words], cwd=ROOT, check=True)
        registry = Registry(sqlite_uri(workspace.resolve() / "mlflow.db"))
        champion = registry.find("champion")
        made = registry.download(champion, folder / "model")
        opened = artifacts.opening(made, artifacts.CLASSIFIER)
        target = bundled.classifier()
        before = artifacts.file_digest(target / "weights.safetensors") if target.is_dir() else ""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for name in (*opened.manifest.files, artifacts.MANIFEST):
            files.copy(made / name, target / name)
        files.write_text(bundled.card(), with_licenses(registry.card(champion)))
    after = artifacts.file_digest(target / "weights.safetensors")
    print(f"{target}: weights {'as before' if after == before else f'new, SHA-256 {after}'}")


def with_licenses(card: str) -> str:
    """A card that names the licenses of the bundled recordings and who made the sounds."""
    with (RECORDINGS / "manifest.csv").open(encoding="utf-8", newline="") as file:
        counts = Counter(
            row["license"]
            for row in csv.DictReader(file)
            if row["split"] in ("train", "validation")
        )
    licenses = ", ".join(f"{name} ({count} clips)" for name, count in counts.most_common())
    credits = (RECORDINGS / "README.md").read_text(encoding="utf-8").partition(_CREDITS)[2].strip()
    text = credits.replace("[`LICENSES/`](LICENSES)", "`examples/instruments/LICENSES`")
    return (
        card.partition(_LICENSE)[0]
        + f"{_LICENSE}\nThe weights are under the Apache License 2.0, like the code. They hold no"
        f" recording. The recordings they were trained on are under: {licenses}; those of the test"
        " split are in the public domain.\n\n"
        f"## Sounds\n\n{text}\n"
    )


if __name__ == "__main__":
    main()
