"""Normalised street addresses: equal keys mean the same doorstep or the same street corner."""

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from itertools import pairwise

_DIRECTIONS = {
    "north": "n", "south": "s", "east": "e", "west": "w",
    "northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw",
    "n": "n", "s": "s", "e": "e", "w": "w", "ne": "ne", "nw": "nw", "se": "se", "sw": "sw",
}  # fmt: skip

# Types written after the name, as in "15 Main St".
_TYPES_AFTER = {
    "alley": "aly", "avenue": "ave", "av": "ave", "boulevard": "blvd", "circle": "cir", "court": "ct", "crt": "ct",
    "drive": "dr", "expressway": "expy", "freeway": "fwy", "highway": "hwy", "lane": "ln", "parkway": "pkwy",
    "pky": "pkwy", "place": "pl", "plaza": "plz", "road": "rd", "square": "sq", "street": "st", "str": "st",
    "saint": "st", "terrace": "ter", "terr": "ter", "trail": "trl", "turnpike": "tpke",
    "aly": "aly", "ave": "ave", "blvd": "blvd", "cir": "cir", "ct": "ct", "dr": "dr", "expy": "expy", "fwy": "fwy",
    "hwy": "hwy", "ln": "ln", "pkwy": "pkwy", "pl": "pl", "plz": "plz", "rd": "rd", "sq": "sq", "st": "st",
    "ter": "ter", "trl": "trl", "tpke": "tpke",
}  # fmt: skip

# Types of languages that put the house number last, as in "ул. Абая, 15" or "Calle Mayor 15".
_TYPES_NUMBER_LAST = {
    "улица": "ул", "проспект": "пр", "просп": "пр", "микрорайон": "мкр", "мкрн": "мкр", "переулок": "пер",
    "бульвар": "бул", "шоссе": "шоссе", "площадь": "пл", "көшесі": "көш", "даңғылы": "даң", "даңғыл": "даң",
    "calle": "calle", "avenida": "avda", "شارع": "شارع", "طريق": "طريق",
    "ул": "ул", "пр": "пр", "мкр": "мкр", "пер": "пер", "бул": "бул", "пл": "пл", "көш": "көш", "даң": "даң",
    "avda": "avda",
}  # fmt: skip

_UNITS = {
    "apartment": "apt", "suite": "ste", "floor": "fl", "room": "rm", "квартира": "кв", "офис": "оф",
    "apt": "apt", "unit": "unit", "ste": "ste", "fl": "fl", "rm": "rm", "кв": "кв", "оф": "оф",
}  # fmt: skip

_TYPES = {**_TYPES_AFTER, **_TYPES_NUMBER_LAST}
_CANONICAL = {**_DIRECTIONS, **_TYPES, **_UNITS, "дом": "д"}
_TYPE_WORDS = frozenset(_TYPES.values())
_TYPES_AFTER_WORDS = frozenset(_TYPES_AFTER.values())
_NUMBER_LAST_WORDS = frozenset(_TYPES_NUMBER_LAST.values())
_DIRECTION_WORDS = frozenset(_DIRECTIONS.values())
_UNIT_WORDS = frozenset(_UNITS.values())
_CORNER_WORDS = frozenset({"intersection", "corner", "of", "the"})

# What a place that is no street address is called by: these words alone say nothing, or say nothing more.
_VAGUE_WORDS = frozenset(
    {
        "here", "there", "somewhere", "nowhere", "outside", "inside", "home", "house", "my", "our", "place", "street", "town", "city",
        "unknown", "none", "na", "n", "not", "sure", "room", "building", "campus", "здесь", "тут", "дома", "город", "неизвестно",
        "aquí", "casa", "ciudad", "هنا",
    }
)  # fmt: skip
_FILLING_WORDS = frozenset(
    {"the", "of", "in", "at", "on", "a", "no", "number", "el", "la", "de", "del", "en", "в", "на"}
)
_ORDINAL_WORDS = {
    "first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7", "eighth": "8", "ninth": "9",
    "tenth": "10",
}  # fmt: skip
_BUILDING_WORDS = frozenset(
    {"building", "bldg", "block", "корпус", "корп", "здание", "строение", "ғимарат", "edificio", "مبنى"}
)
_MAX_NAME_WORDS = 12  # more is a story, not a name

NAMED = "@"  # begins the key of a place that is called by a name, so that it is never taken for a street address

_HOUSE = re.compile(r"\d{1,6}[^\W\d_]{0,2}(?:[-/]\d{1,5}[^\W\d_]{0,2})?")
_ORDINAL = re.compile(r"(\d{1,20})(?:st|nd|rd|th)")
_STARTS_WITH_ORDINAL = re.compile(r"\W{0,20}\d{1,20}(?:st|nd|rd|th)\b")
_ABBREVIATED = re.compile(r"\b(пр|м|б)-(т|н|р)\b")
_ABBREVIATIONS = {"пр-т": "пр", "м-н": "мкр", "б-р": "бул"}
_INITIALS = re.compile(r"\b([a-z])\.(?=[a-z]\b)")
_ASCII_GAPS = re.compile(r"[^A-Za-z0-9#'/-]|(?<![0-9])[-/]|[-/](?![0-9])")
_SEGMENT = re.compile(r"[,;\n\r،]+")
_PIECE = re.compile(r"\s{2,}")
_STRONG_JOINT = re.compile(r"\s{0,20}[&@]\s{0,20}|\s{1,20}/\s{1,20}")
_WEAK_JOINT = re.compile(r"\s{1,20}(?:and|at)\s{1,20}")

_ROOM_MARK = "room:"
_ROOM = re.compile(
    r"(?<!\w)(?:(?:room|rm|classroom|lab|кабинет\w{0,3}|каб|аудитори\w{1,3}|ауд|комнат\w{1,3}|комн|aula|salón|غرفة|قاعة)"
    r"\.?\s{0,3}(?:no\.?|number|#|№)?\s{0,3}(\d{1,5}[^\W\d_]?)"
    r"|(\d{1,5}[^\W\d_]?)(?:-?(?:й|ші|шы))?[\s-]{1,3}(?:кабинет\w{0,3}|бөлме\w{0,3}|аудитори\w{1,3}))(?!\w)"
)

_PASSES = 4  # a key is read again until it stays the same; real addresses settle at once
_LONGEST_PLAIN_HOUSE_NUMBER = 4  # five digits without a street type are more often a post code


@lru_cache(maxsize=8192)  # the same few thousand addresses come again and again
def address_key(text: str | None) -> str | None:
    """Normalises an address so that equal keys mean the same place, or None where the text is not specific enough.

    Specific means a house number with a street, or two streets that meet: "Main St" alone is None. City, state and
    post code after a comma or a double blank are dropped; the order of an intersection's streets does not count.
    Deterministic and idempotent (R-DUP-08).
    """
    key = None if text is None else _read(text)
    for _ in range(_PASSES):
        if key is None:
            return None
        settled, key = key, _read(key)
        if key == settled:
            return key
    return None  # a text whose reading does not settle is no address


@lru_cache(maxsize=8192)
def place_key(text: str | None) -> str | None:
    """Makes the address key, else one for a place called by its name, such as "Hartwell Library, 2nd floor"; else None.

    A name's key begins with NAMED and is blind to the order of words and to how a floor is written. A street alone, or
    words such as "outside", name no place.
    """
    key = address_key(text)
    if text is None:
        return None
    said = [_ORDINAL_WORDS.get(word, word) for word in _words(_fold(text))]
    is_floor = len(said) > 1 and _is_house(said[0]) and said[1] in _UNIT_WORDS  # "2 floor" is no house number
    if key is not None and not is_floor:
        return key
    words = sorted({word for word in said if word not in _FILLING_WORDS})
    names = [word for word in words if _is_name(word) and not _is_house(word) and word not in _VAGUE_WORDS]
    is_street = bool(_TYPE_WORDS & set(words))
    has_name = any(len(word) > 1 for word in names)
    if not has_name and not is_street:
        return _room_key(said)
    return NAMED + " ".join(words) if has_name and not is_street and len(words) <= _MAX_NAME_WORDS else None


def rooms_in(text: str) -> frozenset[str]:
    """Finds the numbers of rooms that a text says, such as "room 204", "кабинете 12" or "305-бөлме"."""
    return frozenset(found[1] or found[2] for found in _ROOM.finditer(_fold(text)))


def rooms_of_key(key: str | None) -> frozenset[str]:
    """Finds the numbers beside a room in the key of a place that is called by its name; empty where no room is said."""
    if key is None or not key.startswith(NAMED):
        return frozenset()
    words = key.removeprefix(NAMED).split()
    if any(word.startswith(_ROOM_MARK) for word in words):
        return frozenset(word for word in words if word.startswith(_ROOM_MARK))
    return frozenset(word for word in words if _is_house(word)) if "rm" in words else frozenset()


def is_room_alone(key: str) -> bool:
    """Tells whether a key says a room and no building: every building has a room 204."""
    return key.startswith(NAMED + _ROOM_MARK)


def _room_key(words: list[str]) -> str | None:
    """Makes the key of a room that is said with its building's number, or alone: "Building 12, room 204"; else None."""
    room, building = _numbered(words, {"rm"}), _numbered(words, _BUILDING_WORDS)
    if room is None:
        return None
    return f"{NAMED}building:{building} {_ROOM_MARK}{room}" if building else f"{NAMED}{_ROOM_MARK}{room}"


def _numbered(words: list[str], marks: Collection[str]) -> str | None:
    """Finds the number or the letter behind the first of these words."""
    for word, following in pairwise(words):
        if word in marks and (_is_house(following) or len(following) == 1):
            return following
    return None


def _read(text: str) -> str | None:
    segments = [segment for segment in _SEGMENT.split(_fold(text)) if segment.strip()]
    for position, segment in enumerate(segments):
        key = _segment_key(segment.strip(), " ".join(segments[position + 1 :]))
        if key is not None:
            return key
    return None


def _segment_key(segment: str, following: str) -> str | None:
    """Makes the key of one comma-separated segment, which may lead on to a house number or a unit in the following ones."""
    pieces = [piece for piece in _PIECE.split(segment) if piece]
    joined = ""
    for index, piece in enumerate(pieces):
        joined = f"{joined} {piece}".strip()
        street_goes_on = index + 1 < len(pieces) and _lacks_its_type(joined, pieces[index + 1])
        key = None if street_goes_on else _place_key(joined, following)
        if key is not None:
            return key
    return None


def _lacks_its_type(head: str, rest: str) -> bool:
    """Tells whether the type stands in the next column: some cities pad them inside a street, and "45 BEACH   20 STREET" is one."""
    words = _words(rest)
    return not _TYPE_WORDS & set(_words(head)) and any(word in _TYPE_WORDS for word in words[1:])


def _place_key(text: str, following: str) -> str | None:
    corner = _corner_key(text)
    if corner is not None:
        return corner
    words, behind = _words(text), [word for word in _words(following) if word != "д"]
    numbered_district = "мкр" in words and bool(behind) and _is_house(behind[0])
    house = None if numbered_district else _house_key(text)
    if house is not None:
        return _with_unit(house, behind)
    if behind and _TYPE_WORDS & set(_trim(words)):  # "ул. Абая, 15" and "Main St, 15"
        return _compose(behind[0], words, behind[1:], longest=_LONGEST_PLAIN_HOUSE_NUMBER)
    return None


def _house_key(text: str) -> str | None:
    """Makes the key of "15 Main St" or "ул. Абая 15"; "3rd Street Extended" starts with a street, not with a house."""
    text = _STRONG_JOINT.split(text, maxsplit=1)[0]
    words = _words(text)
    if words and _is_house(words[0]) and not _STARTS_WITH_ORDINAL.match(text):
        return _compose(words[0], words[1:], words[1 + len(_trim(words[1:])) :])
    words = [word for word in words if word != "д"]
    for index in range(1, len(words)):
        if _is_house(words[index]) and _NUMBER_LAST_WORDS & set(_trim(words[:index])):
            key = _compose(words[index], words[:index], words[index + 1 :])
            if key is not None:
                return key
    return None


def _compose(number: str, street: list[str], rest: list[str], *, longest: int = 6) -> str | None:
    """Puts the number first, whatever the language's order; a long number without a street type is a post code."""
    street = _trim(street)
    if not _is_house(number) or not _is_street(street) or (number.isdecimal() and len(number) > longest):
        return None
    post_code = number.isdecimal() and len(number) > _LONGEST_PLAIN_HOUSE_NUMBER and not _TYPE_WORDS & set(street)
    return None if post_code else _with_unit(" ".join([number, *street]), rest)


def _with_unit(key: str, rest: list[str]) -> str:
    """Adds a flat's number to the key: two flats of one house are two places."""
    if len(rest) > 1 and rest[0] in _UNIT_WORDS and rest[0] not in key.split():
        return f"{key} {rest[0]} {rest[1]}"
    return key


def _corner_key(text: str) -> str | None:
    """Makes the key of two streets that meet, in either order; unless the text says "intersection", they must look like streets."""
    declared = _words(text)[:1] in (["intersection"], ["corner"])
    strong = _STRONG_JOINT.search(text) is not None
    sides = (_STRONG_JOINT if strong else _WEAK_JOINT).split(text, maxsplit=1)
    if len(sides) == 1 or (not declared and _house_key(sides[0]) is not None):
        return None
    streets = [_trim(_without_corner_words(_words(side))) for side in sides]
    if not all(_is_street(street) for street in streets) or streets[0] == streets[1]:
        return None
    typed = sum(bool(_TYPE_WORDS & set(street)) for street in streets)
    if not declared and typed < (1 if strong else 2):
        return None
    first, second = sorted(" ".join(street) for street in streets)
    return f"intersection {first} & {second}"


def _without_corner_words(words: list[str]) -> list[str]:
    start = next((index for index, word in enumerate(words) if word not in _CORNER_WORDS), len(words))
    return words[start:]


def _is_house(word: str) -> bool:
    return _HOUSE.fullmatch(word) is not None


def _is_name(word: str) -> bool:
    return word not in _TYPE_WORDS and word not in _DIRECTION_WORDS and word not in _UNIT_WORDS


def _is_street(words: list[str]) -> bool:
    """Tells a street: a name ("broadway", "35 st"), a letter street as in Washington, DC ("n st"), or a type for a name ("ct st")."""
    typed = any(word in _TYPE_WORDS for word in words)
    return any(_is_name(word) for word in words) or (typed and len(words) > 1)


def _trim(words: list[str]) -> list[str]:
    """Cuts what follows the street's type and direction: "john st newport" is "john st" in Newport."""
    named = False
    for index, word in enumerate(words):
        if named and word in _UNIT_WORDS:
            return words[:index]
        if named and word in _TYPES_AFTER_WORDS:
            return words[: _street_end(words, index + 1)]
        type_as_name = word in _TYPE_WORDS and words[index + 1 : index + 2] != [] and words[index + 1] in _TYPE_WORDS
        named = named or _is_name(word) or type_as_name
    return words


def _street_end(words: list[str], end: int) -> int:
    while end < len(words) and (words[end] in _TYPE_WORDS or words[end] in _DIRECTION_WORDS):
        end += 1
    numbered = words[end : end + 1] == ["no"] and any(_is_house(word) for word in words[end + 1 : end + 2])
    return end + 2 if numbered else end  # "Public Alley No. 420"


def _fold(text: str) -> str:
    if text.isascii():
        return _INITIALS.sub(r"\1", text.lower())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.replace("½", " 1/2")).casefold())
    folded = "".join(_ascii_digit(char) for char in folded)
    folded = _ABBREVIATED.sub(lambda found: _ABBREVIATIONS.get(found[0], found[0]), folded)
    return _INITIALS.sub(r"\1", folded)


def _ascii_digit(char: str) -> str:
    return str(unicodedata.decimal(char)) if char.isdecimal() else char


def _words(text: str) -> list[str]:
    """Cuts a text into its words, as `_known_words` does."""
    return list(_known_words(text))


@lru_cache(maxsize=8192)  # an address is looked at from several sides, and towns and post codes come again and again
def _known_words(text: str) -> tuple[str, ...]:
    """Finds letters, digits and marks of any script; a dash or stroke stays only between digits ("1500-1502")."""
    if text.isascii():  # the same rules as `_kept`, by one expression
        cleaned = _ASCII_GAPS.sub(" ", text).replace("'", "").replace("#", " unit ")
    else:
        cleaned = "".join(_kept(text, index) for index in range(len(text)))
    return tuple(_canonical(word) for word in cleaned.split())


def _kept(text: str, index: int) -> str:
    char = text[index]
    if unicodedata.category(char)[0] in "LNM":
        return char
    if char == "#":
        return " unit "
    between_digits = 0 < index < len(text) - 1 and text[index - 1].isdecimal() and text[index + 1].isdecimal()
    if char in "-/" and between_digits:
        return char
    return "" if char in "'’" or unicodedata.category(char) == "Cf" else " "


def _canonical(word: str) -> str:
    ordinal = _ORDINAL.fullmatch(word)
    return ordinal[1] if ordinal else _CANONICAL.get(word, word)
