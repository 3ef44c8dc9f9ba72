"""A request as a contact centre reads it (R-INT-03): the customer's words, what was understood of them, who got it and why."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from civicpulse.base.answers import Page, View, optional
from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.requests.views.request import Priority
from civicpulse.requests.views.understood import DisagreementView, UnderstoodView

_BETWEEN_FILES: Final = re.compile(r"[,;\n]")


class AnalysisOfTicketView(UnderstoodView):
    """What was understood of the words, how surely, and by which engine."""

    category_name: str
    language_label: str | None
    disagreement: DisagreementView | None
    analysed_at: datetime


class NeedView(View):
    """A rule that binds the ticket, the field it looks at, and what a manager needs for it."""

    rule: str
    field: str
    needs: str


class InTurnView(View):
    """A manager between whom the turn decided, with the open work before."""

    manager: str
    load: int


class StepDetailView(View):
    """What a step looked at. Which fields there are depends on the step and what came out.

    - `nearest_office`: office, office_id; km and quality of the place, or why (foreign, unknown) and the split between
      offices; category of what is given to nobody
    - `eligibility`: office, needs, how many of its staff are able
    - `next_office`: offices tried, then office, office_id, km_from_primary
    - `two_in_turn`, `lowest_load`: manager, manager_id, between whom, load_after
    """

    office: str = optional()
    office_id: UUID = optional()
    km: float = optional()
    quality: str = optional()
    why: str = optional()
    split: dict[str, float] = optional()
    category: str = optional()
    needs: list[NeedView] = optional()
    able: int = optional()
    staff: int = optional()
    tried: list[str] = optional()
    km_from_primary: float | None = optional()
    manager: str = optional()
    manager_id: UUID = optional()
    between: list[InTurnView] = optional()
    load_after: int = optional()


class AssignmentStepView(View):
    """One step of the policy: what it looked at and what came out."""

    step: str
    detail: StepDetailView
    outcome: str


class AssignmentOfTicketView(View):
    """The manager who has it, and why."""

    manager_id: UUID
    manager_name: str | None
    manager_position: str | None
    business_unit_id: UUID | None
    business_unit_name: str | None
    policy: str | None
    reason: str | None
    steps: list[AssignmentStepView]
    assigned_at: datetime | None


class AttachmentView(View):
    """A file of the ticket: its key in the store and the address to fetch it from."""

    name: str
    key: str
    url: str
    media_type: str
    sha256: str
    uploaded_at: datetime


class TicketView(View):
    """A ticket: `gender` and `birth_date` are null for those who may not see contacts.

    `attachments` are all its files, the newest first; `attachment_key` and `attachment_url` are of the newest one that
    its row names first, else of the newest.
    """

    id: UUID
    request_id: str
    client_guid: str | None
    source: str
    gender: str | None
    birth_date: str | None
    description: str
    segment: str | None
    country: str | None
    region: str | None
    city: str | None
    street: str | None
    house: str | None
    address: str | None
    latitude: float | None
    longitude: float | None
    geo_quality: str | None
    attachment_key: str | None
    attachment_url: str | None
    attachments: list[AttachmentView]
    status: str
    category: str
    priority: Priority
    needs_person: bool
    created_at: datetime
    analysis: AnalysisOfTicketView | None
    assignment: AssignmentOfTicketView | None
    unassigned_reason: str | None


class TicketPage(Page[TicketView]):
    """A page of tickets; `total` stops counting at 100,000 and says so."""

    total: int
    total_is_exact: bool
    page: int
    size: int


class ManagerView(View):
    """An agent of an office; `current_load` is what came with them and what is open and theirs here."""

    id: UUID
    agent_code: str
    name: str
    position: str | None
    skills: list[str]
    business_unit_id: UUID
    business_unit_name: str | None
    base_load: int
    current_load: int


class BusinessUnitView(View):
    """An office with its place and how many managers it has."""

    id: UUID
    name: str
    address: str
    latitude: float | None
    longitude: float | None
    geo_quality: str | None
    managers: int


def ticket_document(
    row: Row, pack: Pack, *, attachments: Sequence[Mapping[str, Any]], sees_contacts: bool
) -> dict[str, Any]:
    """Writes a ticket from the row that reads it; `attachments` are its files, the newest first."""
    first = _first_attachment(row["attachment"], attachments)
    return {
        "id": row["id"],
        "request_id": row["number"],
        "client_guid": row["client_guid"] or row["external_id"],
        "source": row["source"],
        "gender": row["gender"] if sees_contacts else None,
        "birth_date": row["birth_date"] if sees_contacts else None,
        "description": row["description"],
        "segment": row["segment"],
        "country": row["country"] or row["country_code"],
        "region": row["region"],
        "city": row["town"],
        "street": row["street"],
        "house": row["house"],
        "address": row["address_hint"],
        "latitude": row["lat"],
        "longitude": row["lon"],
        "geo_quality": row["geo_quality"],
        "attachment_key": first["key"] if first else row["attachment"] or None,
        "attachment_url": first["url"] if first else None,
        "attachments": list(attachments),
        "status": row["status"],
        "category": row["filed_under"],
        "priority": row["priority"],
        "needs_person": row["waits_for_person"],
        "created_at": row["created_at"],
        "analysis": _analysis(row, pack) if row["category"] is not None else None,
        "assignment": _assignment(row) if row["assigned_agent_id"] is not None else None,
        "unassigned_reason": row["reason"] if row["assigned_agent_id"] is None else None,
    }


def _first_attachment(named: str | None, attachments: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Finds the newest file of the name that a ticket's row says first, else the newest of all."""
    wanted = next(iter(file_names(named)), None)
    return next((one for one in attachments if file_key(one["name"]) == wanted), next(iter(attachments), None))


def file_names(named: str | None) -> Iterator[str]:
    """Lists the files that a ticket's row names, one or several, as they are compared."""
    for name in _BETWEEN_FILES.split(named or ""):
        if name.strip():
            yield file_key(name)


def file_key(name: str) -> str:
    """Folds a file's name: without folders, in one case."""
    return re.split(r"[/\\]", name.strip())[-1].casefold()


def _analysis(row: Row, pack: Pack) -> dict[str, Any]:
    category = pack.categories.get(row["category"])
    language = pack.document.language
    return {
        "category": row["category"],
        "category_name": category.name_in(language) if category else row["category"],
        "sentiment": row["sentiment"],
        "priority": row["priority_read"],
        "language": row["language"],
        "language_label": language_label(pack, row["language"]),
        "summary": row["summary"],
        "recommendation": row["recommendation"],
        "confidence": row["confidence"],
        "needs_person": row["needs_person"],
        "engine": row["engine"],
        "model": row["model"],
        "version": row["version"],
        "fell_back_because": row["fell_back_because"],
        "disagreement": row["disagreement"],
        "analysed_at": row["analysed_at"],
    }


def _assignment(row: Row) -> dict[str, Any]:
    return {
        "manager_id": row["assigned_agent_id"],
        "manager_name": row["manager_name"],
        "manager_position": row["manager_position"],
        "business_unit_id": row["office_id"],
        "business_unit_name": row["office_name"],
        "policy": row["policy"],
        "reason": row["reason"],
        "steps": row["steps"] or [],
        "assigned_at": row["assigned_at"],
    }


def language_label(pack: Pack, language: str | None) -> str | None:
    """Finds what the tenant calls a language, such as KZ for kk; else its code in capitals."""
    return None if language is None else pack.document.language_labels.get(language, language.upper())


def manager_document(row: Row, offices: dict[UUID, str]) -> dict[str, Any]:
    """Writes a manager (R-INT-03); `offices` are names by id."""
    return {
        "id": row["id"],
        "agent_code": row["agent_code"],
        "name": row["name"],
        "position": row["position"],
        "skills": row["skills"],
        "business_unit_id": row["office_id"],
        "business_unit_name": offices.get(row["office_id"]),
        "base_load": row["base_load"],
        "current_load": row["current_load"],
    }


def office_document(row: Row) -> dict[str, Any]:
    """Writes a business unit (R-INT-03)."""
    return {
        "id": row["id"],
        "name": row["name"],
        "address": row["address"],
        "latitude": row["lat"],
        "longitude": row["lon"],
        "geo_quality": row["geo_quality"],
        "managers": row["managers"],
    }
