"""A request as anybody may see it: made of what is public, field by field. No people, no notes, no personal data in its texts."""

from typing import Any, Final

from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.requests.privacy.public import as_public, is_public_file
from civicpulse.requests.views.request import AnyRequest, request_document

PUBLIC: Final = frozenset(field.alias or name for name, field in AnyRequest.model_fields.items())


class PublicRequestView(AnyRequest):
    """A request as anybody may see it: `citizen_ref.citizen_id` and `citizen_feedback.comment` are null, and its texts hold […]
    where personal data is hidden."""


def public_document(row: Row, pack: Pack) -> dict[str, Any]:
    """Writes what the public sees of a request; a field of the document that is not named as public is not in it."""
    document = request_document(as_public(row), pack)
    shown = {key: value for key, value in document.items() if key in PUBLIC}
    shown["citizen_ref"] = {**document["citizen_ref"], "citizen_id": None}
    if feedback := document["citizen_feedback"]:
        shown["citizen_feedback"] = {**feedback, "comment": None}
    shown["evidence"] = [item for item in document["evidence"] if is_public_file(item)]
    return shown
