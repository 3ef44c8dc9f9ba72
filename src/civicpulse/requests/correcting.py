"""What follows when staff sets another type: the priority of the wrong one does not stay, unless somebody decided on it."""

from collections.abc import Mapping
from typing import Any, Final

from civicpulse.packs.shapes import Category
from civicpulse.requests import queries
from civicpulse.requests.changes import Change
from civicpulse.rules.priority import PriorityChoice, choose_priority

READ_SOURCES: Final = frozenset({"report", "csv"})  # their priority was read from their text


async def following_priority(change: Change, decided: Mapping[str, Any]) -> str | None:
    """Gives the priority of another type that is set without one; None where somebody has set the priority by hand."""
    row, category = change.row, decided.get("category")
    if category in (None, row["category"]) or category not in change.pack.categories or "priority" in decided:
        return None
    known = change.pack.categories.get(row["category"])
    was_read = row["source"] in READ_SOURCES or (known and row["priority"] == _by_rules(change, known).priority)
    if not was_read or await queries.has_priority_by_hand(change.tx, row["id"]):
        return None
    return _by_rules(change, change.pack.categories[category]).priority


def _by_rules(change: Change, category: Category) -> PriorityChoice:
    document = change.pack.document
    return choose_priority(
        default=category.default_priority,
        tags=change.row["tags"],
        text=change.row["description"],
        tag_priorities=document.tag_priorities,
        hazard_words=document.hazard_words,
    )
