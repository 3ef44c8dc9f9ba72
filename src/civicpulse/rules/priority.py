"""Priorities P1..P4, their scores and severities, and the first priority of a new request (R-INT-06)."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Final

PRIORITIES: Final = ("P1", "P2", "P3", "P4")
PRIORITY_OF_SEVERITY: Final[Mapping[str, str]] = MappingProxyType(
    {"critical": "P1", "high": "P2", "medium": "P3", "low": "P4"}
)
SEVERITY_OF_PRIORITY: Final[Mapping[str, str]] = MappingProxyType({p: s for s, p in PRIORITY_OF_SEVERITY.items()})

_SCORES: Final = {"P1": 9, "P2": 7, "P3": 5, "P4": 2}
_FLOORS: Final = ((9, "P1"), (7, "P2"), (4, "P3"), (1, "P4"))

# Vowel signs and accents are part of a word, yet \w leaves them out; without them Hindi falls apart at every vowel.
_MARKS: Final = "".join(
    chr(code)
    for code in chain(range(0x300, 0x2100), range(0xA000, 0xAC00), range(0xFE20, 0xFE30))
    if unicodedata.category(chr(code)).startswith("M")
)
_WORD: Final = re.compile(rf"[\w{_MARKS}]+")
# Thai, Lao, Burmese, Khmer, Chinese, Japanese put no spaces between words, Korean glues particles to them.
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff]"
)


@dataclass(frozen=True, slots=True)
class PriorityChoice:
    """The chosen priority, its score 1..10, and what decided."""

    priority: str
    score: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Phrase:
    words: tuple[str, ...]
    shown: str
    priority: str


@dataclass(frozen=True, slots=True)
class _Lexicon:
    by_first_word: Mapping[str, tuple[_Phrase, ...]]
    unspaced: tuple[tuple[str, _Phrase], ...]


def priority_of_score(score: int) -> str:
    """Reads a score: P1 = 9..10, P2 = 7..8, P3 = 4..6, P4 = 1..3; ValueError outside 1..10."""
    if not 1 <= score <= 10:
        raise ValueError(f"score {score} is not in 1..10")
    return next(priority for floor, priority in _FLOORS if score >= floor)


def score_of_priority(priority: str) -> int:
    """Gives a representative score: 9, 7, 5, 2 for P1..P4; ValueError for any other priority."""
    return _SCORES[_known(priority)]


def choose_priority(
    *,
    default: str,
    tags: Sequence[str],
    text: str,
    tag_priorities: Mapping[str, str],
    hazard_words: Mapping[str, str],
) -> PriorityChoice:
    """Chooses the most urgent of the category's default, the tags' priorities and the hazard words found in the text.

    Words match whole and without regard to case, in any script; a phrase of several words matches them in a row.
    """
    found = [(_known(default), f"category default {default}")]
    if tags and tag_priorities:
        folded = {_fold(tag): _known(priority) for tag, priority in tag_priorities.items()}
        found += [(folded[_fold(tag)], f"tag {tag!r}") for tag in tags if _fold(tag) in folded]
    if text and hazard_words:
        lexicon = _lexicon(tuple(hazard_words.items()))
        found += [(phrase.priority, f"hazard word {phrase.shown!r}") for phrase in _hazards(lexicon, _fold(text))]
    best = min(priority for priority, _ in found)
    reasons = dict.fromkeys(reason for priority, reason in found if priority == best)
    return PriorityChoice(best, _SCORES[best], tuple(reasons))


def _known(priority: str) -> str:
    if priority not in _SCORES:
        raise ValueError(f"unknown priority {priority!r}; known: {', '.join(PRIORITIES)}")
    return priority


def _fold(text: str) -> str:
    # In Russian ё is mostly written е; a lexicon must not depend on which one the reporter typed.
    return unicodedata.normalize("NFC", text.casefold()).replace("ё", "е")


@lru_cache(maxsize=1024)
def _lexicon(items: tuple[tuple[str, str], ...]) -> _Lexicon:
    by_first_word: dict[str, list[_Phrase]] = {}
    unspaced = []
    for shown, priority in items:
        folded = _fold(shown).strip()
        phrase = _Phrase(tuple(_WORD.findall(folded)), shown, _known(priority))
        if _UNSPACED.search(folded):
            unspaced.append((folded, phrase))
        elif phrase.words:
            by_first_word.setdefault(phrase.words[0], []).append(phrase)
    return _Lexicon({word: tuple(phrases) for word, phrases in by_first_word.items()}, tuple(unspaced))


def _hazards(lexicon: _Lexicon, text: str) -> Iterator[_Phrase]:
    for needle, phrase in lexicon.unspaced:
        if needle in text:
            yield phrase
    words = _WORD.findall(text)
    if lexicon.by_first_word.keys().isdisjoint(words):
        return
    for index, word in enumerate(words):
        for phrase in lexicon.by_first_word.get(word, ()):
            if tuple(words[index : index + len(phrase.words)]) == phrase.words:
                yield phrase
