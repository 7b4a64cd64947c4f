"""What a classifier is worth on clips that it has not seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiostyle.network import Classifier

Array = npt.NDArray[Any]


@torch.inference_mode()
def probabilities(model: Classifier, represented: Tensor, batch: int = 64) -> Tensor:
    """Class probabilities of clips. Input: [n, bands, frames], output of `represent`; any device.

    Output: [n, classes] float32 on the CPU.
    """
    model.eval()
    device = next(model.parameters()).device
    parts = [
        model.classify(part.to(device)).softmax(1).cpu() for part in torch.split(represented, batch)
    ]
    return torch.cat(parts) if parts else torch.empty(0, len(model.class_names))


def measure(truth: Array, probability: Array, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Measures of a classification, as JSON can hold them.

    truth: [n] int; probability: [n, classes]. Balanced accuracy is the mean recall over the
    classes present; ECE is the expected calibration error over 10 equal bins of confidence
    (Guo 2017); chance is what always answering the most frequent class would get.
    """
    predicted = probability.argmax(1)
    classes = len(class_names)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    hits = np.diag(confusion)
    count = confusion.sum(1)
    guesses = confusion.sum(0)
    recall = np.divide(hits, count, out=np.zeros(classes), where=count > 0)
    precision = np.divide(hits, guesses, out=np.zeros(classes), where=guesses > 0)
    return {
        "clips": int(count.sum()),
        "accuracy": float(hits.sum() / count.sum()),
        "balanced_accuracy": float(recall[count > 0].mean()),
        "chance": float(count.max() / count.sum()),
        "ece": _calibration_error(truth, probability),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "clips": int(n)}
            for name, p, r, n in zip(class_names, precision, recall, count, strict=True)
        },
        "confusion": confusion.tolist(),
    }


def _calibration_error(truth: Array, probability: Array) -> float:
    correct = probability.argmax(1) == truth
    bins = reliability(probability.max(1), correct)
    return sum(b.clips / len(truth) * abs(b.accuracy - b.confidence) for b in bins if b)


@dataclass(frozen=True)
class Bin:
    """Clips of about the same confidence: how many, how sure on the mean, how often right."""

    clips: int
    confidence: float
    accuracy: float


def reliability(confidence: Array, correct: Array, bins: int = 10) -> list[Bin | None]:
    """Accuracy by confidence, in equal bins; None for one without clips (Guo 2017).

    confidence: [n] in [0, 1], of the class that was answered; correct: [n] bool.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [place == index for index in range(bins)]
    return [
        Bin(int(some.sum()), float(confidence[some].mean()), float(correct[some].mean()))
        if some.any()
        else None
        for some in inside
    ]
