"""An event of a request's trail (R-AUD-01), for staff and for the public."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from civicpulse.base.answers import View
from civicpulse.base.db import Row
from civicpulse.requests.privacy.public import public_comment
from civicpulse.requests.trail import INTERNAL, PUBLIC_META, actor_id_of, cst_name, name_of
from civicpulse.requests.views.meta import EventMetaView

ActorType = Literal["citizen", "agent", "dispatcher", "system"]


class ActorView(View):
    """Who did it; the public is not told who."""

    actor_type: ActorType
    actor_id: str | None


class EventView(View):
    """One entry of the trail; which fields `meta` has depends on the type, `hash` chains it to the entry before.

    `type` is what happened, whatever the tenant calls its states; `name` is what the event stream of a CST document calls it.
    """

    seq: int
    type: str
    name: str
    by: ActorView
    at: datetime
    meta: EventMetaView
    hash: str


class CommentMetaView(View):
    """A comment: the event holds its id, its text lies outside the trail."""

    comment_id: UUID
    parent_comment_id: UUID | None
    internal: bool
    message: str


class CommentView(View):
    """The event that a comment has just made."""

    type: Literal["comment.added"]
    name: Literal["comment"]
    seq: int
    by: ActorView
    at: datetime
    meta: CommentMetaView


def event_document(event: Row, request: Row, *, is_staff: bool) -> Row:
    """Writes an event of a request; a comment's text comes from outside the trail."""
    meta = event["meta"] if is_staff else {key: value for key, value in event["meta"].items() if key in PUBLIC_META}
    name = name_of(event)
    if name == "comment.added":
        message = event["message"] if is_staff else public_comment(event, request["redacted"])
        meta = {**meta, "message": message, "erased": event["erased_at"] is not None}
    return {
        "seq": event["seq"],
        "type": name,
        "name": cst_name(event),
        "by": {
            "actor_type": event["actor_type"],
            "actor_id": actor_id_of(event, is_anonymous=request["anonymous"]) if is_staff else None,
        },
        "at": event["at"],
        "meta": meta,
        "hash": event["hash"],
    }


def is_public_event(event: Row) -> bool:
    """Tells whether the public is told of it: of internal notes and of staff's considerations it is not."""
    return not event["is_internal"] and name_of(event) not in INTERNAL
