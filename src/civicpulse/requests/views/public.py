"""A request as anybody may see it: no people, no internal notes, no comment of the reporter."""

from typing import Any

from civicpulse.requests.views.request import AnyRequest

PRIVATE = frozenset({"internal", "assignment", "external_id", "needs_person"})


class PublicRequestView(AnyRequest):
    """A request as anybody may see it: `citizen_ref.citizen_id` and `citizen_feedback.comment` are null."""


def public_document(document: dict[str, Any]) -> dict[str, Any]:
    """Writes the public's part of what `request_document` made."""
    shown = {key: value for key, value in document.items() if key not in PRIVATE}
    shown["citizen_ref"] = {**document["citizen_ref"], "citizen_id": None}
    if feedback := document["citizen_feedback"]:
        shown["citizen_feedback"] = {**feedback, "comment": None}
    return shown
