"""Spec 3's four words for where an issue stands, and the states of a pack behind each."""

from collections.abc import Sequence
from typing import Final

from civicpulse.packs.model import Pack

WORDS: Final = ("open", "in-progress", "resolved", "closed")
BEGUN: Final = "in_progress_at"  # the time that a state notes when work begins


def word_of(pack: Pack, status: str) -> str:
    """open until work begins, in-progress while it goes on or waits for somebody, then resolved, then closed."""
    state = pack.workflow.states.get(status)
    if state is None:
        return WORDS[0]
    if state.category in ("resolved", "closed"):
        return state.category
    is_begun = state.category == "waiting" or state.timestamp == BEGUN
    return "in-progress" if is_begun else "open"


def states_of(pack: Pack, wanted: Sequence[str]) -> list[str]:
    """The states that a filter names: a pack's own state stands for itself, one of the four words for all that it covers.

    What is neither stays as it is, and finds nothing.
    """
    found: dict[str, None] = {}
    for word in wanted:
        behind = [name for name in pack.workflow.states if word_of(pack, name) == word] if word in WORDS else []
        found |= dict.fromkeys(behind or [word])
    return list(found)
