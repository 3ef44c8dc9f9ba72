"""Which tickets a list is filtered by, in the words of people and files, and its pages."""

import re
from collections import Counter
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid, NoSuchChoice
from civicpulse.base.paging import decode_cursor, encode_cursor
from civicpulse.centre.tickets import queries
from civicpulse.centre.tickets.queries import TicketFilters
from civicpulse.packs.model import Pack
from civicpulse.places.geocoding import home_country
from civicpulse.places.offline import town_name
from civicpulse.places.place import AddressParts
from civicpulse.requests.filters import known_categories, known_segments
from civicpulse.requests.visibility import Sight

SORT: Final = "-created_at"
LANGUAGE: Final = re.compile("[a-z]{2,3}")
MAX_SKIPPED: Final = 50_000  # rows before a numbered page; farther on the cursor is the way


async def category_of(tx: Tx, pack: Pack, given: str | None) -> tuple[str, ...]:
    """Finds a category by id or by its name in any of its languages, as a filter. Raises NoSuchChoice."""
    if given is None:
        return ()
    wanted = given.casefold()
    for category in pack.categories.values():
        if wanted in {name.casefold() for name in (category.id, category.name, *category.names.values())}:
            return (category.id,)
    return await known_categories(tx, (given,))


def language_of(pack: Pack, given: str | None) -> str | None:
    """Finds a language by its code or by the tenant's label, such as kk or KZ. Raises NoSuchChoice."""
    if given is None:
        return None
    labels = {label.casefold(): code for code, label in pack.document.language_labels.items()}
    code = labels.get(given.casefold(), given.casefold())
    if not LANGUAGE.fullmatch(code):
        raise NoSuchChoice("language", [given], sorted({*pack.document.language_labels, pack.document.language}))
    return code


async def segments_of(tx: Tx, pack: Pack, given: tuple[str, ...]) -> tuple[str, ...]:
    """Finds segments in any of their spellings, as a filter. Raises NoSuchChoice."""
    return await known_segments(tx, tuple(pack.spelled("segments", word) or word for word in given)) if given else ()


async def spellings_of(tx: Tx, pack: Pack, given: tuple[str, ...]) -> list[Row] | None:
    """Finds the ways in which files write the towns that a filter names, in any of their own spellings. Raises NoSuchChoice."""
    if not given:
        return None
    home, language = await home_country(tx), pack.document.language
    names = [(town_name(AddressParts(row["country"], row["region"], row["town"]), home, language), row)
             for row in await queries.list_spellings(tx)]  # fmt: skip
    known = {name.casefold() for name, _ in names}
    asked = {word: town_name(AddressParts(None, None, word), home, language).casefold() for word in given}
    strangers = [word for word, name in asked.items() if name not in known]
    if strangers:
        raise NoSuchChoice("town", strangers, sorted({name for name, _ in names}))
    return [row for name, row in names if name.casefold() in asked.values()]


async def list_tickets(
    tx: Tx, wanted: TicketFilters, sight: Sight, *, page: int, size: int, cursor: str | None
) -> tuple[list[UUID], str | None]:
    """Lists the ids of one page of what is seen, newest first, and the cursor of the next. Raises Invalid for a page too far on."""
    after, offset = None, (page - 1) * size
    if cursor is not None:
        at, key = decode_cursor(cursor, SORT, (datetime, UUID))
        after, offset = (at, key), 0
    if offset > MAX_SKIPPED:
        raise Invalid(
            f"Pages reach {MAX_SKIPPED} tickets deep: go on with the cursor of the last answer instead.", field="page"
        )
    rows: list[Row] = await queries.ticket_ids(tx, wanted, sight, after=after, offset=offset, limit=size + 1)
    more = len(rows) > size
    rows = rows[:size]
    next_cursor = encode_cursor(SORT, [rows[-1]["created_at"], rows[-1]["id"]]) if more else None
    return [row["id"] for row in rows], next_cursor


def _by_town(groups: list[Row], pack: Pack) -> dict[str, int]:
    """Counts tickets by the town that was meant, whatever it was written like, under its name in the tenant's language."""
    distribution = pack.document.distribution
    home = distribution.home_country if distribution else None
    counts = Counter[str]()
    for row in groups:
        parts = AddressParts(row["country"], row["region"], row["town"])
        counts[town_name(parts, home, pack.document.language)] += row["tickets"]
    return dict(counts.most_common())


def stats_document(rows: list[Row], pack: Pack) -> dict[str, Any]:
    """Writes the dashboard's figures (R-CSV-09) from the rows of queries.get_stats."""
    dimensions = ("category", "sentiment", "language", "office", "segment", "town")
    every = (1 << len(dimensions)) - 1
    whole = next(row for row in rows if row["left_out"] == every)
    found: dict[str, Any] = {
        "total_tickets": whole["tickets"],
        "assigned_tickets": whole["assigned"],
        "unassigned_tickets": whole["tickets"] - whole["assigned"],
        "analyzed_tickets": whole["analysed"],
        "needs_person": whole["needs_person"],
        "avg_priority": None if whole["priority"] is None else round(whole["priority"], 2),
    }
    for place, name in enumerate(dimensions):
        left_out = every ^ (1 << (len(dimensions) - 1 - place))
        groups = [row for row in rows if row["left_out"] == left_out and row[name] is not None]
        found[f"by_{name}"] = {row[name]: row["tickets"] for row in groups}
        if name == "town":
            found["by_town"] = _by_town(groups, pack)
    language = pack.document.language
    found["labels"] = {
        "category": {key: category.name_in(language) for key, category in pack.categories.items()},
        "language": dict(pack.document.language_labels),
    }
    return found
