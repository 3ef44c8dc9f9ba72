"""What a state means, and what entering it does to a request: clock, times, marks. Pure.

A pack may call its states what it likes; everything else asks for their category and for the stage time that a state
notes on entry.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from civicpulse.rules.sla import Pause
from civicpulse.rules.workflow import State

OPEN_WORK: Final = ("open", "waiting")
"""Categories of states in which there is work to do; a waiting state stops the clock."""
ENDED: Final = ("resolved", "closed")
"""Categories of states in which the work has ended."""
Reopening = Literal["counts", "pauses"]
"""What the time between the end of the work and its reopening is to the clock."""
STAGE_TIMES: Final = ("triaged_at", "assigned_at", "in_progress_at", "resolved_at", "closed_at")
"""The times that a state may note on entry. When a request was created is no stage: nothing changes it."""
STATE_COLUMNS: Final = ("status", "state_category", *STAGE_TIMES)
"""What of a request says where it stands: a duplicate has these of its master."""


def is_ended(category: str) -> bool:
    """Tells whether the work has ended in a state of this category."""
    return category in ENDED


def stands_resolved(request: Mapping[str, Any]) -> bool:
    """Tells whether a request, as a row, counts as a resolution with the time it took: in figures, scores and SLA metrics.

    A duplicate does not, its master carries the work; nor one that is open again; nor one that has ended nobody knows when,
    or before it was created (v0.1.0 stored such), of which nobody can say how long it took.
    """
    resolved_at = request["resolved_at"]
    return (
        request["master_id"] is None
        and is_ended(request["state_category"])
        and resolved_at is not None
        and resolved_at >= request["created_at"]
    )


def conditions_of(request: Mapping[str, Any]) -> frozenset[str]:
    """Lists the conditions of transitions that hold for a request, as a row; what one reporter disputes, all of them share."""
    is_disputed = request["disputed"] or request.get("has_disputed_duplicate")
    return frozenset({"dispute_accepted"} if is_disputed else ())


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands before it enters another state. `milestones`: name → when it was noted."""

    category: str
    resolved_at: datetime | None
    closed_at: datetime | None
    pauses: tuple[Pause, ...]
    milestones: Mapping[str, Any]


def enter(
    standing: Standing,
    target: State,
    at: datetime,
    *,
    ending_milestones: Iterable[str] = (),
    reopening: Reopening = "counts",
) -> dict[str, Any]:
    """Gives the columns that entering `target` at `at` changes; `sla_pauses` as a tuple of pauses, where they change.

    Entering a waiting state stops the clock and leaving it starts the clock again. Leaving an ended state for one with
    work opens the request again: its end is forgotten with the `ending_milestones` that led there and any dispute. The
    time it lay ended counts, since whoever reported it has waited; where `reopening` "pauses", it is forgiven.
    """
    columns: dict[str, Any] = {"status": target.name, "state_category": target.category}
    pauses = standing.pauses
    if is_ended(standing.category) and not is_ended(target.category):
        if reopening == "pauses":
            pauses = (*pauses, Pause(standing.resolved_at or standing.closed_at or at, at))
        kept = {name: noted for name, noted in standing.milestones.items() if name not in frozenset(ending_milestones)}
        columns |= {"resolved_at": None, "closed_at": None, "milestones": kept, "disputed": False}
    if target.category == "waiting" and standing.category != "waiting":
        pauses = (*pauses, Pause(at))
    elif standing.category == "waiting" and target.category != "waiting":
        pauses = tuple(Pause(pause.start, pause.end or at) for pause in pauses)
    if pauses != standing.pauses:
        columns["sla_pauses"] = pauses
    if target.timestamp in STAGE_TIMES:
        columns[target.timestamp] = at
    return columns


def follow(duplicate: Mapping[str, Any], master: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the columns of a duplicate whose master stands in another state: it stands where its master stands.

    Both are rows of requests. A duplicate has no clock of its own: it is completed with its master and has its master's
    SLA state before. When the master is opened again a dispute is over.
    """
    ended, had_ended = is_ended(master["state_category"]), is_ended(duplicate["state_category"])
    sla_state = "completed" if ended else master["sla_state"]
    reopened = had_ended and not ended
    return {name: master[name] for name in STATE_COLUMNS} | {
        "sla_state": sla_state,
        "disputed": duplicate["disputed"] and not reopened,
    }
