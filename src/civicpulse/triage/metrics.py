"""How good a model is on rows it has not seen; pure numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SHARES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
BINS: Final = 10
THRESHOLD: Final = 0.5  # the confidence from which a pack that says nothing lets texts be decided alone


@dataclass(frozen=True, slots=True)
class Coverage:
    """Deciding alone only the most confident `share` of texts: how many are right, and from which confidence on."""

    share: float
    accuracy: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """All are 0..1. `majority` is the accuracy of always naming the commonest label of the training rows.

    `calibration_error` is the mean gap between confidence and accuracy over ten bands of confidence. `at_threshold` is
    what would be decided alone from the pack's threshold on.
    """

    accuracy: float
    top3: float
    macro_f1: float
    majority: float
    mean_confidence: float
    calibration_error: float
    coverage: tuple[Coverage, ...]
    at_threshold: Coverage
    rows_train: int
    rows_test: int
    classes: int

    def to_json(self) -> dict[str, Any]:
        """Writes the figures as plain values for JSON."""
        return asdict(self) | {"coverage": [asdict(entry) for entry in self.coverage]}


def measure(
    probabilities: NDArray[np.float32],
    categories: Sequence[str],
    truth: Sequence[str],
    *,
    train_labels: Sequence[str],
    threshold: float = THRESHOLD,
) -> Metrics:
    """Compares (rows, categories) with the true labels; a label that the model does not know counts as an error."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    names = np.array(categories, dtype=object)
    gold = np.array(truth, dtype=object)
    best = names[order[:, 0]]
    right = best == gold
    confidence = probabilities.max(axis=1)
    commonest = Counter(train_labels).most_common(1)[0][0]
    return Metrics(
        accuracy=_rounded(right.mean()),
        top3=_rounded((names[order[:, :3]] == gold[:, None]).any(axis=1).mean()),
        macro_f1=_rounded(macro_f1(best.tolist(), list(truth))),
        majority=_rounded((gold == commonest).mean()),
        mean_confidence=_rounded(confidence.mean()),
        calibration_error=_rounded(_calibration_error(confidence, right)),
        coverage=tuple(_coverage(confidence, right)),
        at_threshold=_at_threshold(confidence, right, threshold),
        rows_train=len(train_labels),
        rows_test=len(truth),
        classes=len(categories),
    )


def macro_f1(guessed: Sequence[Any], truth: Sequence[Any]) -> float:
    """Computes the mean over the labels that occur in the truth."""
    said, true = Counter(guessed), Counter(truth)
    hits = Counter(label for label, guess in zip(truth, guessed, strict=True) if label == guess)
    return float(np.mean([2 * hits[label] / (said[label] + true[label]) for label in true]))


def _calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    bands = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [
        abs(float(confidence[bands == band].mean()) - float(right[bands == band].mean()))
        * float((bands == band).mean())
        for band in np.unique(bands)
    ]
    return sum(gaps)


def _coverage(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> list[Coverage]:
    order = np.argsort(-confidence, kind="stable")
    found = []
    for share in SHARES:
        taken = order[: max(1, round(share * len(order)))]
        found.append(Coverage(share, _rounded(right[taken].mean()), _rounded(confidence[taken].min())))
    return found


def _at_threshold(confidence: NDArray[np.float32], right: NDArray[np.bool_], threshold: float) -> Coverage:
    """Measures what is sure enough: an accuracy of 0 where nothing is."""
    taken = confidence >= threshold
    return Coverage(_rounded(taken.mean()), _rounded(right[taken].mean()) if taken.any() else 0.0, threshold)


def _rounded(value: Any) -> float:
    return round(float(value), 4)
