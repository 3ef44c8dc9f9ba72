"""A request that has just been opened, as it is answered: the document of the row that was written, and what became of it."""

from collections.abc import Sequence
from typing import Any

from civicpulse.base.answers import optional
from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.requests.views.public import PublicRequestView, public_document
from civicpulse.requests.views.request import DuplicatesView, MatchView, RequestView, request_document


class NewDuplicatesView(DuplicatesView):
    """What became of a new request: attached to a master and `why`, or proposed as the duplicate of others."""

    proposed: list[MatchView]
    why: str = optional()


class NewRequestView(RequestView):
    """A request that has just been opened; the token lets its reporter follow and rate it without an account."""

    duplicates: NewDuplicatesView
    tracking_token: str


class NewPublicRequestView(PublicRequestView):
    """A request that has just been opened, as its reporter sees it; the token lets them follow and rate it without an account."""

    duplicates: NewDuplicatesView
    tracking_token: str


def opened_document(
    row: Row,
    pack: Pack,
    *,
    as_staff: bool,
    token: str,
    proposed: Sequence[dict[str, Any]] = (),
    why: str | None = None,
) -> dict[str, Any]:
    """Makes the answer to whoever opened a request, from its row; of one that was attached, `why`, and `row` has master_request_id.

    Whoever is not staff sees the public's part and, as nobody else, who they are.
    """
    document = request_document(row, pack)
    if not as_staff:
        document = public_document(row, pack) | {"citizen_ref": document["citizen_ref"]}
    document["duplicates"] |= {"proposed": list(proposed)} | ({} if why is None else {"why": why})
    return document | {"tracking_token": token}
