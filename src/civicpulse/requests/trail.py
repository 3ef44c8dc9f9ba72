"""The trail of a request as it is read: events in code's own names, what the public sees of them, what CST calls them."""

from collections.abc import Iterator, Sequence
from typing import Final

from civicpulse.base.db import Row
from civicpulse.base.events import event_name

CST_NAMES: Final = {
    "request.opened": "created",
    "request.classified": "classified",
    "request.assigned": "assigned",
    "request.assignment_failed": "assignment_failed",
    "request.milestone": "milestone",
    "request.sla_changed": "sla_state",
    "request.escalated": "sla_escalation",
    "request.rated": "rating",
    "request.merged": "merged",
    "request.unmerged": "unmerged",
    "request.duplicate_added": "duplicate_added",
    "request.duplicate_removed": "duplicate_removed",
    "duplicate.rejected": "duplicate_rejected",
    "duplicate.rejection_undone": "duplicate_rejection_undone",
    "comment.added": "comment",
    "evidence.added": "evidence",
    "text.erased": "erased",
    "request.redacted": "redacted",
}
"""What the event stream of a CST document calls an event; a transition is called by the state that it led to."""

INTERNAL: Final = frozenset(
    {
        "request.assignment_failed",
        "request.classified",
        "request.redacted",
        "text.erased",
        "duplicate.rejected",
        "duplicate.rejection_undone",
    }
)
"""Events of which the public sees nothing."""

PUBLIC_META: Final = frozenset(
    {
        "from",
        "to",
        "from_category",
        "category",
        "milestone",
        "master_request_id",
        "duplicate_request_id",
        "comment_id",
        "parent_comment_id",
        "rating",
    }
)
"""What of an event's meta the public sees. Of a transition `category` is that of the state, which is no secret."""


def name_of(event: Row) -> str:
    """Gives the event's name as code has it, also of one that an earlier release wrote."""
    return event_name(event["type"], event["meta"])


def actor_id_of(event: Row, *, is_anonymous: bool) -> str | None:
    """Gives the id of who did it. Of an anonymous report that an earlier release opened the trail names the citizen, for good: whoever
    opened it is shown to nobody. `event` holds also `opened_by`, the actor's id of the first event."""
    if is_anonymous and event["actor_type"] == "citizen" and event["actor_id"] == event["opened_by"]:
        return None
    actor_id: str | None = event["actor_id"]
    return actor_id


def cst_name(event: Row) -> str:
    """Gives the event's name in a CST document."""
    name, meta = name_of(event), event["meta"]
    return str(meta["to"]) if name == "request.transitioned" else CST_NAMES.get(name, name)


def cst_stream(events: Sequence[Row]) -> Iterator[Row]:
    """Lists the events that a CST document lists: that an agent was given a request is one event with the move it caused."""
    for event, following in zip(events, [*events[1:], None], strict=True):
        if name_of(event) != "request.assigned" or following is None or not _caused(event, following):
            yield event


def _caused(event: Row, following: Row) -> bool:
    return name_of(following) == "request.transitioned" and bool(following["at"] == event["at"])
