"""A tenant's text model: words, pairs of words and pieces of words with their weights; scoring by numpy alone.

A word always adds the same to a text's score, so its pieces are summed once and remembered. Two blocks, words with pairs
and pieces, are brought to length one each: score = words/|words| + pieces/|pieces| + bias. That makes a batch fast.
"""

import io
import itertools
import json
import threading
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

SHORTEST_PIECE: Final = 2
LONGEST_PIECE: Final = 5
MAX_WORDS: Final = 400  # different words of a text that count: a category is told early
REMEMBERED: Final = 60_000  # words whose sums are kept


class ModelError(ValueError):
    """A stored model cannot be read."""


def pieces_of(word: str) -> list[str]:
    """Finds the letter sequences of length 2 to 5 of a word with a blank at either end."""
    padded = f" {word} "
    length = len(padded)
    return [
        padded[start : start + size]
        for size in range(SHORTEST_PIECE, LONGEST_PIECE + 1)
        for start in range(length - size + 1)
    ]


def units_of(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Finds (different words, different pairs of neighbours) of a text, each once, in order."""
    read = words[: MAX_WORDS * 2]
    pairs = dict.fromkeys(f"{first} {second}" for first, second in itertools.pairwise(read))
    return list(dict.fromkeys(read))[:MAX_WORDS], list(pairs)[:MAX_WORDS]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The features by kind; a feature's number is its row: words, then pairs, then pieces."""

    words: dict[str, int]
    pairs: dict[str, int]
    pieces: dict[str, int]

    @classmethod
    def of(cls, words: Iterable[str], pairs: Iterable[str], pieces: Iterable[str]) -> "Vocabulary":
        """Numbers the features in the order given."""
        numbered: list[dict[str, int]] = []
        start = 0
        for kind in (words, pairs, pieces):
            table = {feature: start + index for index, feature in enumerate(kind)}
            numbered.append(table)
            start += len(table)
        return cls(*numbered)

    def __len__(self) -> int:
        return len(self.words) + len(self.pairs) + len(self.pieces)


@dataclass(slots=True)
class TextModel:
    """Scores texts against `categories`. `weights` is (features, categories), already times `idf`; thread-safe."""

    categories: tuple[str, ...]
    vocabulary: Vocabulary
    idf: Floats
    weights: Floats
    bias: Floats
    sharpness: float
    facts: dict[str, Any] = field(default_factory=dict)
    _rows: dict[str, int] = field(default_factory=dict, repr=False)
    _sums: Floats = field(init=False, repr=False)
    _squares: Floats = field(init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._rows.clear()
        self._sums = np.zeros((1024, len(self.categories)), np.float32)
        self._squares = np.zeros(1024, np.float32)

    def probabilities(self, texts: Sequence[Sequence[str]]) -> Floats:
        """Computes (texts, categories): the probability of each category for texts given as folded words; rows sum to 1."""
        scores = self.scores(texts) * self.sharpness
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def scores(self, texts: Sequence[Sequence[str]]) -> Floats:
        """Computes (texts, categories): raw scores, larger is likelier."""
        units = [units_of(words) for words in texts]
        known = self.vocabulary
        features = [
            [number for word in words if (number := known.words.get(word)) is not None]
            + [number for pair in pairs if (number := known.pairs.get(pair)) is not None]
            for words, pairs in units
        ]
        total = _summed(features, self.weights, self.idf * self.idf)
        with self._lock:
            rows = [self._rows_of(words) for words, _ in units]
            total += _summed(rows, self._sums, self._squares)
        total += self.bias
        return total

    def _rows_of(self, words: list[str]) -> list[int]:
        rows = self._rows
        return [row if (row := rows.get(word)) is not None else self._remember(word) for word in words]

    def _remember(self, word: str) -> int:
        """Sums up a word's pieces once."""
        row = len(self._rows)
        if row >= len(self._squares):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
            self._squares = np.concatenate([self._squares, np.zeros_like(self._squares)])
        pieces = self.vocabulary.pieces
        numbers = [number for piece in pieces_of(word) if (number := pieces.get(piece)) is not None]
        if numbers:
            self._sums[row] = self.weights[numbers].sum(axis=0)
            self._squares[row] = np.square(self.idf[numbers]).sum()
        self._rows[word] = row
        return row

    def trim(self) -> None:
        """Forgets remembered words when there are many; call between batches."""
        with self._lock:
            if len(self._rows) > REMEMBERED:
                self._forget()


def _summed(numbers: list[list[int]], table: Floats, squares: Floats) -> Floats:
    """Computes for each text the sum of its rows of `table`, divided by the root of the sum of their `squares`."""
    counts = np.fromiter((len(row) for row in numbers), np.int64, len(numbers))
    result = np.zeros((len(numbers), table.shape[1]), np.float32)
    flat = np.fromiter((number for row in numbers for number in row), np.int64, int(counts.sum()))
    filled = counts > 0
    if flat.size:
        starts = (np.cumsum(counts) - counts)[filled]
        lengths = np.add.reduceat(squares[flat], starts)
        sums = np.add.reduceat(table[flat], starts, axis=0)
        result[filled] = sums / np.sqrt(np.maximum(lengths, 1e-12))[:, None]
    return result


def dump_model(model: TextModel) -> bytes:
    """Writes the model as .npz bytes: arrays and JSON, nothing that could execute on the way back."""
    known = model.vocabulary
    arrays = {
        "words": _packed(known.words),
        "pairs": _packed(known.pairs),
        "pieces": _packed(known.pieces),
        "categories": _packed(model.categories),
        "idf": model.idf.astype(np.float32),
        "weights": model.weights.astype(np.float16),
        "bias": model.bias.astype(np.float32),
        "facts": _bytes(json.dumps(model.facts | {"sharpness": model.sharpness}, ensure_ascii=False)),
    }
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)  # type: ignore[arg-type]  # the stubs take the keywords for allow_pickle
    return held.getvalue()


def load_model(payload: bytes) -> TextModel:
    """Loads the model of `dump_model`. Raises ModelError when the bytes are anything else."""
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            facts = json.loads(arrays["facts"].tobytes().decode())
            vocabulary = Vocabulary.of(*(_unpacked(arrays[name]) for name in ("words", "pairs", "pieces")))
            model = TextModel(
                categories=tuple(_unpacked(arrays["categories"])),
                vocabulary=vocabulary,
                idf=arrays["idf"].astype(np.float32),
                weights=arrays["weights"].astype(np.float32),
                bias=arrays["bias"].astype(np.float32),
                sharpness=float(facts.pop("sharpness")),
                facts=facts,
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"this is not a stored model: {error}") from error
    if model.weights.shape != (len(vocabulary), len(model.categories)) or model.idf.shape != (len(vocabulary),):
        raise ModelError("this is not a stored model: its parts do not fit each other")
    return model


def categories_of(payload: bytes) -> tuple[str, ...]:
    """Reads the categories that a stored model knows; nothing else of it is read. Raises ModelError."""
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
            return tuple(_unpacked(arrays["categories"]))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"this is not a stored model: {error}") from error


def _bytes(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _packed(features: Iterable[str]) -> NDArray[np.uint8]:
    return _bytes("\n".join(features))


def _unpacked(array: NDArray[np.uint8]) -> list[str]:
    text = array.tobytes().decode()
    return text.split("\n") if text else []
