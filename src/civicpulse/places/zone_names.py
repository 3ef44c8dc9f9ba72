"""Zones by what people call them: a campus has its buildings as zones, and reports name them in words."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from civicpulse.base.db import Tx
from civicpulse.places import queries

_WORD: Final = re.compile(r"[^\W_]+")
SHORTEST_NAME: Final = 2  # letters and digits; less is a word of any sentence


class ZoneNames:
    """A tenant's zones, each found by its name and by its code, as whole words, whatever their case."""

    def __init__(self, zones: Sequence[tuple[str, str]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for code, name in zones:
            for words in {tuple(_words(name)), tuple(_words(code))}:
                if _is_telling(words):
                    self._by_first.setdefault(words[0], []).append((words, code))

    def only_one_in(self, text: str) -> str | None:
        """Finds the code of the zone that `text` names; None when it names none, or several.

        A name inside a longer one does not count: "Library Annex" is not the library.
        """
        spans = list(self._spans(_words(text)))
        named = {
            code
            for start, end, code in spans
            if not any(other[0] <= start and end <= other[1] and other[:2] != (start, end) for other in spans)
        }
        return named.pop() if len(named) == 1 else None

    def _spans(self, words: Sequence[str]) -> Iterator[tuple[int, int, str]]:
        for index, word in enumerate(words):
            for phrase, code in self._by_first.get(word, ()):
                if tuple(words[index : index + len(phrase)]) == phrase:
                    yield index, index + len(phrase), code


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold().replace("ё", "е"))


def _is_telling(words: Sequence[str]) -> bool:
    """Tells whether a name says where; a bare number is a room or a house more often than a zone."""
    letters = "".join(words)
    return len(letters) >= SHORTEST_NAME and any(letter.isalpha() for letter in letters)


_names: dict[UUID, tuple[int, ZoneNames]] = {}


async def zone_names(tx: Tx) -> ZoneNames:
    """Gives the tenant's names, read once a process for each version of its zones."""
    known = _names.get(tx.tenant_id)
    if known is not None and known[0] == tx.tenant.zones_version:
        return known[1]
    names = ZoneNames([(row["zone_id"], row["name"]) for row in await queries.named_zones(tx)])
    _names[tx.tenant_id] = (tx.tenant.zones_version, names)
    return names
