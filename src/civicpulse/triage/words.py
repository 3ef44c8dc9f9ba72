"""A text read once for everything that follows: without links, folded, in words."""

import re
import unicodedata
from dataclasses import dataclass

_LINK = re.compile(r"https?://\S+|www\.\S+|(?<!\S)\S{1,200}@\S{1,200}\.\w+", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_MARKS = re.compile("[\u0300-\u036f\u064b-\u065f\u0670\u0640\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
# Letters that people type for one another: Arabic alef, ya and ta marbuta; Russian ё.
_FOLDED = str.maketrans(
    {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ئ": "ي", "ؤ": "و", "ة": "ه", "ё": "е", "’": "'"}
)
LONGEST_TEXT = 20_000  # characters that are read; a category does not hide behind them


@dataclass(frozen=True, slots=True)
class Reading:
    """`plain` is the text without links, in its own letters; `folded` is what is compared; `words` are folded's words."""

    plain: str
    folded: str
    words: list[str]


def word_set(text: str) -> frozenset[str]:
    """Reads the words of a list written as text."""
    return frozenset(text.split())


def fold(text: str) -> str:
    """Folds text to small letters, composed, without Arabic vowel signs and with the letters that people mix up made one."""
    if text.isascii():
        return text.lower()
    composed = unicodedata.normalize("NFC", text).casefold()
    return _MARKS.sub("", composed).translate(_FOLDED)


def read(text: str) -> Reading:
    """Reads a text; about ten microseconds for a sentence."""
    plain = text[:LONGEST_TEXT]
    if "@" in plain or "://" in plain or "www." in plain:
        plain = _LINK.sub(" ", plain)
    folded = fold(plain)
    return Reading(plain, folded, _WORD.findall(folded))
