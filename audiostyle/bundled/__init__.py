"""What comes with the package: a trained classifier, and six pairs of recordings.

`examples/make_model.py` trains the classifier anew; CARD.md says what it learned from. The pairs
are those of `examples/instruments`, which describes them.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent

# Where a classifier is from, for reports, tags and ledgers.
CLASSIFIER_NAME = "audiostyle/bundled-classifier"


def classifier() -> Path:
    """Folder of the classifier artifact."""
    return _HERE / "classifier"


def card() -> Path:
    """The model card of the classifier, in Markdown."""
    return _HERE / "CARD.md"


def pairs() -> Path:
    """The manifest of the pairs: id, content, style, target."""
    return _HERE / "pairs" / "pairs.csv"
