"""What rules say of requests, as SQL conditions on the row called `alias`: the words are those of rules/lifecycle.py.

Partial indexes are written with the same words (migrations), so a condition made here finds them.
"""

from collections.abc import Sequence
from typing import LiteralString

from civicpulse.rules.lifecycle import ENDED, OPEN_WORK


def _is_in(alias: LiteralString, categories: Sequence[LiteralString]) -> LiteralString:
    words = ", ".join(f"'{category}'" for category in categories)
    return f"{alias}.state_category IN ({words})"


def is_open(alias: LiteralString) -> LiteralString:
    """Writes the condition that there is work to do."""
    return _is_in(alias, OPEN_WORK)


def has_ended(alias: LiteralString) -> LiteralString:
    """Writes the condition that the work has ended: `rules.lifecycle.is_ended`."""
    return _is_in(alias, ENDED)


def is_open_master(alias: LiteralString) -> LiteralString:
    """Writes the condition of open work. A duplicate is none: its master carries the work."""
    return f"{is_open(alias)} AND {alias}.master_id IS NULL"


def stands_resolved(alias: LiteralString) -> LiteralString:
    """Writes the condition of a resolution, with the time it took: `rules.lifecycle.stands_resolved`."""
    return (
        f"{alias}.master_id IS NULL AND {has_ended(alias)} AND {alias}.resolved_at IS NOT NULL"
        f" AND {alias}.resolved_at >= {alias}.created_at"
    )
