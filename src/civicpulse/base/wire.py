"""Wire types that more than one room reads: text that can be stored, instants that say their offset."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

# A margin at either end, so that no period before or after it leaves what a datetime can hold.
FIRST_YEAR: Final = 1000
LAST_YEAR: Final = 9900
# Stands for the time zone of a day until it is known whose day it is: `began`.
_OF_A_DAY: Final = timezone(timedelta(0), "a day")
_NUMBER = re.compile(r"\s{0,20}[-+]?[\d.]{1,400}(e[-+]?\d{1,400})?\s{0,20}", re.IGNORECASE)


# Controls, formats, blanks and marks without a letter. What is not assigned yet may be tomorrow's picture.
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Mc", "Me"})
# Letters and symbols by their category, with nothing to be seen: fillers of Hangul, and the empty pattern of Braille.
_SHAPELESS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


class Wire(BaseModel):
    """A body: unknown fields are refused by name, so that a typing mistake is not silently lost."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


def storable(value: str) -> str:
    """Refuses what PostgreSQL's text cannot hold."""
    if "\x00" in value:
        raise ValueError("must not contain a NUL character")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("contains half of a surrogate pair: send well-formed Unicode") from None
    return value


_NOT_IN_ADDRESSES = re.compile(r"[\s\x00-\x1f\x7f\"'<>\\^`{|}]")


def web_address(value: str) -> str:
    """Refuses whatever is not a whole address of a page or file on the web: pages make a link of it."""
    advice = "must be an address such as https://example.org/photo.jpg"
    if _NOT_IN_ADDRESSES.search(value):
        raise ValueError(f"{advice}, without blanks, quotes and brackets")
    try:
        parts = urlsplit(value)
        named = parts.hostname, parts.port
    except ValueError:
        raise ValueError(advice) from None
    if parts.scheme not in ("http", "https") or not named[0] or "@" in parts.netloc:
        raise ValueError(advice)
    return value


def is_blank(text: str) -> bool:
    """Tells whether nobody would see anything of the text: blanks, and signs that have no shape of their own."""
    return all(sign in _SHAPELESS or unicodedata.category(sign) in _UNSEEN for sign in text)


def _not_blank(value: str) -> str:
    if is_blank(value):
        raise ValueError("must not be blank")
    return value


def _nothing_or_visible(value: str) -> str:
    return _not_blank(value) if value else value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must carry an offset, such as 2026-03-01T12:00:00Z")
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return value if value.tzinfo is _OF_A_DAY else value.astimezone(UTC)


def _plus_sign(value: Any) -> Any:
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        # Pydantic would take 2026 for 34 minutes after midnight of 1 January 1970.
        raise ValueError("must be RFC 3339, such as 2026-03-01T12:00:00Z, not a number")
    # A plus in a query string arrives as a blank: 2026-03-01T12:00:00 02:00.
    if isinstance(value, str) and len(value) > 19 and value[-6] == " ":
        return f"{value[:-6]}+{value[-5:]}"
    return value


def _midnight(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=_OF_A_DAY)
    return _plus_sign(value)


def began(moment: datetime | None, zone: tzinfo) -> datetime | None:
    """Says when a day that was given as DayOrInstant began in `zone`, in UTC; an instant, or None, is what it is."""
    if moment is None or moment.tzinfo is not _OF_A_DAY:
        return moment
    return moment.replace(tzinfo=zone).astimezone(UTC)


# An empty text says nothing; one that only looks empty is a mistake of whoever sent it.
Text = Annotated[str, AfterValidator(storable), AfterValidator(_nothing_or_visible)]
ShortText = Annotated[
    str, StringConstraints(max_length=200), AfterValidator(storable), AfterValidator(_nothing_or_visible)
]
Word = Annotated[
    str, StringConstraints(min_length=1, max_length=100), AfterValidator(storable), AfterValidator(_not_blank)
]
LongText = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(storable), AfterValidator(_not_blank)]
DayOrInstant = Annotated[datetime, BeforeValidator(_midnight), AfterValidator(_aware)]
# Where nobody's days are meant, as of what machines send: a day begins at midnight, UTC.
DayOrInstantUtc = Annotated[DayOrInstant, AfterValidator(lambda moment: began(moment, UTC))]
