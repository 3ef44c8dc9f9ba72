"""Fits a text model: the only place that needs scikit-learn, which is loaded when a fit begins.

The mean of linear SVMs that differ in strength and in how much rare categories count, over all of a tenant's languages;
a mean of linear models is one linear model. Cross-validation on the tenant's own rows makes its scores probabilities.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from civicpulse.triage.model import Floats, TextModel, Vocabulary, pieces_of, units_of
from civicpulse.triage.words import read

FOLDS: Final = 4
MAX_JUDGED: Final = 6000  # rows that choose the settings: more only make it slower
FEW: Final = 3000  # under so many rows a feature seen once counts too
MAX_PIECES: Final = 120_000
MAX_PAIRS: Final = 60_000
SEED: Final = 20261120


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its category. `is_history` is false for what the pack itself says (names, keywords, examples)."""

    text: str
    category: str
    weight: float = 1.0
    is_history: bool = True


@dataclass(frozen=True, slots=True)
class Setting:
    """`strength`: the SVM's C. `balance`: 0 counts every row the same, 1 every category the same."""

    strength: float
    balance: float


# No single machine wins everywhere; on earlier parts of the real sets these means did as well as the best or better.
SETTINGS_OF_FEW: Final = (Setting(0.1, 0.5), Setting(0.1, 1.0), Setting(0.3, 0.75), Setting(0.3, 1.0))
SETTINGS_OF_MANY: Final = (Setting(0.1, 0.0), Setting(0.1, 1.0))
ENOUGH_TO_JUDGE: Final = 200
ENOUGH_TO_MIX: Final = 1000
# What comes after a short history differs more from it than rows left out of it do: confidence says so much less. Chosen
# on earlier parts of the real sets, later rows judged by a model of those before them; a long history needed none.
CAUTION_OF_FEW: Final = 0.8


@dataclass(slots=True)
class _Table:
    """Examples as numbers: a sparse matrix (rows, features) and what makes its values."""

    vocabulary: Vocabulary
    idf: Floats
    matrix: Any = field(repr=False)


def fit(examples: Sequence[Example], *, facts: dict[str, Any] | None = None) -> TextModel:
    """Trains on `examples` (at least two categories). Deterministic. Seconds for some thousand rows."""
    words = [read(example.text).words for example in examples]
    table = _tabulate(words)
    labels = np.array([example.category for example in examples])
    weights = np.array([example.weight for example in examples])
    history = np.array([example.is_history for example in examples])
    is_few = len(labels) < FEW
    settings = SETTINGS_OF_FEW if is_few else SETTINGS_OF_MANY
    coefficients, bias = _machines(table.matrix, labels, weights, settings)
    scores, truth = _left_out((table.matrix, labels, weights), _judged(history), settings)
    mixing, shift, sharpness = _calibrated(scores, truth)
    if is_few and history.sum() >= ENOUGH_TO_JUDGE:
        sharpness *= CAUTION_OF_FEW
    coefficients, bias = coefficients @ mixing, bias @ mixing + shift
    return TextModel(
        categories=tuple(str(name) for name in np.unique(labels)),
        vocabulary=table.vocabulary,
        idf=table.idf,
        # Rounded as they will be stored: what is judged is what answers.
        weights=(coefficients * table.idf[:, None]).astype(np.float16).astype(np.float32),
        bias=bias,
        sharpness=sharpness,
        facts={"rows": int(history.sum())} | (facts or {}),
    )


def _tabulate(texts: Sequence[Sequence[str]]) -> _Table:
    units = [units_of(words) for words in texts]
    least = 1 if len(texts) < FEW else 2
    counts: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())
    for words, pairs in units:
        counts[0].update(words)
        counts[1].update(pairs)
        counts[2].update({piece for word in words for piece in pieces_of(word)})
    vocabulary = Vocabulary.of(
        counts[0],
        (pair for pair, seen in counts[1].most_common(MAX_PAIRS) if seen >= least),
        (piece for piece, seen in counts[2].most_common(MAX_PIECES) if seen >= least),
    )
    seen = [
        count[feature]
        for count, table in zip(counts, (vocabulary.words, vocabulary.pairs, vocabulary.pieces), strict=True)
        for feature in table
    ]
    idf = (np.log((1 + len(texts)) / (1 + np.array(seen, np.float64))) + 1).astype(np.float32)
    return _Table(vocabulary, idf, _matrix(units, vocabulary, idf))


def _matrix(units: Sequence[tuple[list[str], list[str]]], vocabulary: Vocabulary, idf: Floats) -> Any:
    """Writes the values that `TextModel.scores` adds up, row by row."""
    from scipy import sparse  # heavy, and only training needs it

    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    values: list[Floats] = []
    for row, (words, pairs) in enumerate(units):
        whole = [n for word in words if (n := vocabulary.words.get(word)) is not None]
        whole += [n for pair in pairs if (n := vocabulary.pairs.get(pair)) is not None]
        pieces = [n for word in words for piece in pieces_of(word) if (n := vocabulary.pieces.get(piece)) is not None]
        for block in (np.array(whole, np.int64), np.array(pieces, np.int64)):
            if block.size:
                weight = idf[block]
                columns.append(block)
                rows.append(np.full(block.size, row))
                values.append(weight / np.sqrt(np.square(weight).sum()))
    index = (np.concatenate(rows), np.concatenate(columns)) if rows else ([], [])
    shape = (len(units), len(vocabulary))
    return sparse.coo_matrix((np.concatenate(values) if values else [], index), shape=shape).tocsr()


def _machines(
    matrix: Any, labels: NDArray[Any], weights: NDArray[Any], settings: Sequence[Setting]
) -> tuple[Floats, Floats]:
    """Computes the mean of the machines: (features, categories in the order of their names) and biases."""
    from sklearn.svm import LinearSVC  # heavy, and only training needs it

    counts = Counter(labels.tolist())
    mean = len(labels) / len(counts)
    coefficients = np.zeros((matrix.shape[1], len(counts)), np.float32)
    bias = np.zeros(len(counts), np.float32)
    for setting in settings:
        classes = {name: (mean / count) ** setting.balance for name, count in counts.items()}
        machine = LinearSVC(C=setting.strength, class_weight=classes, random_state=SEED, max_iter=2000)
        machine.fit(matrix, labels, sample_weight=weights)
        sides, start = _two_sided(machine)
        coefficients += sides / len(settings)
        bias += start / len(settings)
    return coefficients, bias


def _two_sided(machine: Any) -> tuple[Floats, Floats]:
    """Gives (features, categories) and biases, also for two categories, of which the library keeps one side only."""
    coefficients, bias = machine.coef_.T, machine.intercept_
    if len(machine.classes_) == 2:
        coefficients, bias = np.hstack([-coefficients, coefficients]), np.array([-bias[0], bias[0]])
    return coefficients.astype(np.float32), bias.astype(np.float32)


def _judged(history: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Picks the rows that tell how sure a score is: the tenant's own when there are enough, else all; in a random order."""
    rows = np.flatnonzero(history) if history.sum() >= ENOUGH_TO_JUDGE else np.arange(len(history))
    return np.random.default_rng(SEED).permutation(rows)[:MAX_JUDGED]


def _left_out(
    rows: tuple[Any, NDArray[Any], NDArray[Any]], judged: NDArray[np.int64], settings: Sequence[Setting]
) -> tuple[Floats, NDArray[np.int64]]:
    """Scores the judged rows by machines that did not see them, with their true categories as numbers."""
    matrix, labels, weights = rows
    names = np.unique(labels)
    scores = np.full((len(judged), len(names)), -2.0, np.float32)
    rest = np.setdiff1d(np.arange(len(labels)), judged)[:MAX_JUDGED]
    for fold in range(FOLDS):
        out = np.arange(len(judged)) % FOLDS == fold
        seen = np.concatenate([rest, judged[~out]])
        if len(np.unique(labels[seen])) < 2:
            continue
        coefficients, bias = _machines(matrix[seen], labels[seen], weights[seen], settings)
        columns = np.searchsorted(names, np.unique(labels[seen]))
        scores[np.ix_(out, columns)] = matrix[judged[out]] @ coefficients + bias
    return scores, np.searchsorted(names, labels[judged])


def _calibrated(scores: Floats, truth: NDArray[np.int64]) -> tuple[Floats, Floats, float]:
    """Finds (mixing, shift, sharpness) that turn scores into the logarithms of probabilities: (scores @ mixing + shift) * sharpness.

    Half is the machine's own score, half what a logistic regression on the scores left out says: which categories are
    commoner, and which stand in for one another. Measured on Boston's comments: top-3 +2 points, top-1 +1, macro-F1 as before.
    """
    count = scores.shape[1]
    own = _sharpness(scores, truth)
    mixing: Floats = np.eye(count, dtype=np.float32) * np.float32(own)
    shift: Floats = np.zeros(count, np.float32)
    if len(truth) >= ENOUGH_TO_MIX and len(np.unique(truth)) > 2:
        learnt, base = mixing.copy(), shift.copy()
        regression = _regression(scores, truth)
        learnt[:, regression.classes_] = regression.coef_.T
        base[regression.classes_] = regression.intercept_
        mixing, shift = (mixing + learnt) * np.float32(0.5), base * np.float32(0.5)
    return mixing, shift, _sharpness(scores @ mixing + shift, truth)


def _regression(scores: Floats, truth: NDArray[np.int64]) -> Any:
    from sklearn.linear_model import LogisticRegression  # heavy, and only training needs it

    return LogisticRegression(C=1.0, max_iter=500).fit(scores, truth)


def _sharpness(scores: Floats, truth: NDArray[np.int64]) -> float:
    """Finds the factor under which softmax probabilities are the likeliest, from a wide range."""
    candidates = np.geomspace(0.25, 20, 80)
    rows = np.arange(len(truth))
    costs = []
    for factor in candidates:
        stretched = scores * factor
        stretched = stretched - stretched.max(axis=1, keepdims=True)
        costs.append(float((np.log(np.exp(stretched).sum(axis=1)) - stretched[rows, truth]).mean()))
    return float(candidates[int(np.argmin(costs))])
