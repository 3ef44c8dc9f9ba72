"""One skeleton for the many spellings of a place: case, script, diacritics and transliteration fall away."""

import re
import unicodedata
from functools import lru_cache

# Russian and Kazakh letters by their sound; ы, и, й and і are one, hard and soft signs are none.
_CYRILLIC = str.maketrans(
    {
        "а": "a", "ә": "a", "б": "b", "в": "v", "г": "g", "ғ": "g", "ґ": "g", "д": "d", "е": "e", "ё": "e", "є": "e",
        "ж": "j", "з": "z", "и": "i", "й": "i", "і": "i", "ї": "i", "ы": "i", "к": "k", "қ": "k", "л": "l", "м": "m",
        "н": "n", "ң": "n", "о": "o", "ө": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ұ": "u", "ү": "u",
        "ў": "u", "ф": "f", "х": "h", "һ": "h", "ц": "c", "ч": "c", "ш": "s", "щ": "s", "ъ": "", "ь": "", "э": "e",
        "ю": "iu", "я": "ia",
    }
)  # fmt: skip
_LATIN = re.compile(r"dzh|shch|sh|ch|zh|kh|gh|ts|[qwyxı]")
_SOUNDS = {
    "dzh": "j", "shch": "s", "sh": "s", "ch": "c", "zh": "j", "kh": "h", "gh": "g", "ts": "c", "q": "k", "w": "u",
    "y": "i", "x": "ks", "ı": "i",
}  # fmt: skip
_OTHER = re.compile(r"[^a-z0-9]")
_REPEATED = re.compile(r"(.)\1+")


@lru_cache(maxsize=20_000)
def skeleton(text: str) -> str:
    """Spells a name by its sounds: "Қосшы", "Косшы" and "Kosshy" alike become "kosi"; empty for text in other scripts."""
    return skeleton_once(text)


def skeleton_once(text: str) -> str:
    """Spells a name as `skeleton` does, without remembering it: for the names of a whole country."""
    plain = text.casefold().replace("дж", "ж").translate(_CYRILLIC)
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(letter))
    plain = _OTHER.sub("", _LATIN.sub(lambda found: _SOUNDS[found.group()], plain))
    return _REPEATED.sub(r"\1", plain)
