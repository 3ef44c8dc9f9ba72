"""What the public reads of a request's texts: the same without personal data, and without what staff has redacted.

`requests.public_texts` holds the texts whose public wording differs, {} where none does. It is worked out when a text is written: lists
stay as fast as they were, and the search for the public reads what the public reads. None is of a row that an earlier release wrote:
its wording is worked out when it is read, and the public's search does not find it.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from civicpulse.rules.masking.masker import HIDDEN, for_public

TEXTS: Final = frozenset({"description", "address_hint", "sub_category", "tags"})
"""Columns of a request in which people write freely, and which the public reads."""


@lru_cache(maxsize=2000)
def public_text(text: str, redacted: tuple[str, ...] = ()) -> str:
    """Writes a text as the public reads it; `redacted` are words that staff has taken out of it."""
    if redacted:
        words = "|".join(re.escape(word) for word in sorted(redacted, key=len, reverse=True))
        text = re.sub(words, HIDDEN, text, flags=re.IGNORECASE)
    return for_public(text).text


def public_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Works out the texts of a request whose public wording differs, by column."""
    redacted = tuple(row["redacted"])
    found: dict[str, Any] = {}
    for name in TEXTS:
        value = row[name]
        shown = (
            [public_text(one, redacted) for one in value] if name == "tags" else value and public_text(value, redacted)
        )
        if shown != value:
            found[name] = shown
    return found


def as_public(row: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the row with its texts as the public reads them."""
    hidden = row["public_texts"]
    return {**row, **(public_texts(row) if hidden is None else hidden)}


def is_public_file(evidence: Mapping[str, Any]) -> bool:
    """Tells whether the public gets a piece of evidence that staff has not hidden: photos, which are cleaned, and what staff sent.

    In other files of a reporter, as videos and documents are, a place or a name may stand where it cannot be found.
    """
    if evidence.get("hidden"):
        return False
    return bool(evidence["type"] == "photo" or evidence["uploaded_by"] != "citizen")


def public_comment(comment: Mapping[str, Any], redacted: Sequence[str]) -> str | None:
    """Gives a comment as the public reads it; `comment` holds message and public_message. None: it was erased."""
    message: str | None = comment["message"]
    if message is None or comment["public_message"] is None or redacted:
        return message and public_text(message, tuple(redacted))
    shown: str = comment["public_message"]
    return shown
