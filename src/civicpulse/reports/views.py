"""A report as its document: what anybody may know, and what staff and the reporter see (R-INT-08)."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from civicpulse.base.answers import View, optional
from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.requests.views.issue import IssueStatus, word_of
from civicpulse.requests.views.request import ScoreView
from civicpulse.requests.views.understood import CategoryScoreView, DisagreementView, UnderstoodView

ReportState = Literal["waiting", "processed", "parked"]
Outcome = Literal["new", "attached", "proposed"]


class ReportedPlaceView(View):
    """A GeoJSON point as the reporter sent it, with what they say of the place."""

    type: Literal["Point"]
    coordinates: Annotated[list[float], Field(min_length=2, max_length=3)]
    address_hint: str | None
    zone_id: str | None


class ReportIssueView(View):
    """The issue that a report belongs to."""

    request_id: str
    status: IssueStatus
    state: str


class PlaceFoundView(View):
    """Where the report's place was found, and by what."""

    zone_id: str
    found_by: str
    geo_quality: str | None
    country_code: str | None


class DecisiveView(View):
    """A request that decided what became of the report; `is_public` in decisions of before 0.2."""

    request_id: str
    score: ScoreView
    why: str
    is_public: bool = optional()


class ReportDuplicatesView(View):
    """What became of the report among those that are here."""

    outcome: Outcome
    candidates: list[DecisiveView]


class ReportDecisionView(UnderstoodView):
    """What was understood of the report, where it was placed, and what it is a duplicate of."""

    disagreement: DisagreementView | None = optional()
    category_scores: list[CategoryScoreView]
    place: PlaceFoundView
    duplicates: ReportDuplicatesView


class PublicReportView(View):
    """What became of a report, for whoever knows its id."""

    id: UUID
    processed: bool
    state: ReportState
    outcome: Outcome | None
    submitted_at: datetime
    processed_at: datetime | None
    issue: ReportIssueView | None


class OwnReportView(PublicReportView):
    """A report as its reporter sees it: also what was decided and why."""

    description: str
    location: ReportedPlaceView | str | None
    tags: list[str]
    asset_id: str | None
    request_id: str | None
    decision: ReportDecisionView | None
    attempts: int


class ReportView(OwnReportView):
    """A report as staff sees it."""

    external_id: str | None
    citizen_id: UUID | None
    last_error: str | None
    next_try_at: datetime | None


class ReportLinksView(View):
    """Where to look for what becomes of it."""

    self_: str = Field(alias="self")


class ReceiptView(View):
    """A report is kept; the token lets its reporter see what becomes of it without an account."""

    id: UUID
    processed: bool
    state: ReportState
    submitted_at: datetime
    tracking_token: str
    links: ReportLinksView


def requests_named(row: Row) -> set[str]:
    """Lists the numbers of the requests that a report's row names: its own, its issue's, and those that it was compared with."""
    compared = row["decision"]["duplicates"]["candidates"] if row["decision"] else ()
    return {match["request_id"] for match in compared} | {row["number"], row["issue_number"]} - {None}


def report_document(
    row: Row, pack: Pack | None, *, seen: Collection[str], is_staff: bool, is_reporter: bool
) -> dict[str, Any]:
    """Writes the report of `row`, which queries.COLUMNS reads; `pack` is the issue's, None while there is none; `seen`: the numbers of requests
    that the reader may see.

    A stranger who knows the id learns what became of the report, the reporter and staff also what was decided and why.
    """
    decision = row["decision"] if is_staff or row["decision"] is None else _as_seen(row["decision"], seen)
    document: dict[str, Any] = {
        "id": row["id"],
        "processed": row["state"] == "processed",
        "state": row["state"],
        "outcome": row["outcome"] if decision is None else decision["duplicates"]["outcome"],
        "submitted_at": row["submitted_at"],
        "processed_at": row["processed_at"],
        "issue": _issue(row, pack, seen),
    }
    if not (is_staff or is_reporter):
        return document
    document |= {
        "description": row["description"],
        "location": row["location"],
        "tags": row["tags"],
        "asset_id": row["asset_id"],
        "request_id": row["number"],
        "decision": decision,
        "attempts": row["attempts"],
    }
    if is_staff:
        document |= {name: row[name] for name in ("external_id", "citizen_id", "last_error")}
        document["next_try_at"] = row["due_at"]
    return document


def _issue(row: Row, pack: Pack | None, seen: Collection[str]) -> dict[str, Any] | None:
    """Shows the issue, for a reader who does not see it the report's own request, which is in its state."""
    number = next((one for one in (row["issue_number"], row["number"]) if one in seen), None)
    if number is None or pack is None:
        return None
    status = row["issue_status"]
    return {"request_id": number, "status": word_of(pack, status), "state": status}


def _as_seen(decision: dict[str, Any], seen: Collection[str]) -> dict[str, Any]:
    """Shows the decision without requests that the reader may not see: where nothing is left of what was found, it was new."""
    duplicates = decision["duplicates"]
    shown = [match for match in duplicates["candidates"] if match["request_id"] in seen]
    outcome = duplicates["outcome"] if shown else "new"
    return decision | {"duplicates": duplicates | {"outcome": outcome, "candidates": shown}}
