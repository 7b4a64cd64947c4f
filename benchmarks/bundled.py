"""The bundled recordings as benchmarks use them: pairs, and a classifier trained once."""

from pathlib import Path

from audiostyle.artifacts import digest_of
from components.preprocess.config import PreprocessConfig
from components.preprocess.data_version import data_version
from components.preprocess.preprocess import preprocess
from components.stylize.pairs import Pair, read_pairs
from components.train.config import TrainConfig
from components.train.train import train
from pipeline import images

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "examples" / "instruments"
KEPT = ROOT / "outputs" / "benchmarks"


def pairs() -> list[Pair]:
    """Contents, styles and targets: instruments that no classifier is trained on."""
    return read_pairs(RECORDINGS / "pairs" / "pairs.csv")


def classifier(given: Path | None = None) -> Path:
    """The classifier artifact that is given, or one trained with the default settings.

    That takes a minute or two, and is done again only when code or recordings have changed.
    """
    if given:
        return given
    made_of = [images.local_of("preprocess"), images.local_of("train")]
    folder = KEPT / digest_of([*made_of, data_version(RECORDINGS)])[:16]
    if not (folder / "classifier").is_dir():
        print("training a classifier on the bundled recordings, once")
        preprocess(RECORDINGS, folder / "spectrograms", PreprocessConfig())
        train(folder / "spectrograms", folder / "classifier", TrainConfig())
    return folder / "classifier"
