"""A ticket as spec 5 shows it: the customer's words, what was understood of them, who got it and why."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Row, Tx
from civicpulse.centre.tickets import queries
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.requests.files import storage_key


async def ticket_documents(
    tx: Tx, ids: Sequence[UUID], *, storage: Storage, sees_contacts: bool
) -> list[dict[str, Any]]:
    """A document for each ticket, in the order of `ids`; sex and birth date only for those who may see contacts."""
    rows, pack = await queries.get_tickets(tx, ids), await current_pack(tx)
    return [await _document(tx, rows[key], pack, storage, sees_contacts) for key in ids if key in rows]


async def _document(tx: Tx, row: Row, pack: Pack, storage: Storage, sees_contacts: bool) -> dict[str, Any]:
    key, url = await _attachment(tx, row, storage)
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
        "attachment_key": key,
        "attachment_url": url,
        "status": row["status"],
        "category": row["filed_under"],
        "priority": row["priority"],
        "needs_person": row["waits_for_person"],
        "created_at": row["created_at"],
        "analysis": _analysis(row, pack) if row["category"] is not None else None,
        "assignment": _assignment(row) if row["assigned_agent_id"] is not None else None,
        "unassigned_reason": row["reason"] if row["assigned_agent_id"] is None else None,
    }


async def _attachment(tx: Tx, row: Row, storage: Storage) -> tuple[str | None, str | None]:
    """Key and address of the attachment; for one that did not come, the name that the file gave it."""
    if row["evidence_id"] is None:
        return row["attachment"] or None, None
    key = storage_key(tx, row["evidence_id"])
    return key, await storage.signed_url(key) or f"/evidence/{row['evidence_id']}"


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
    """What the tenant calls a language, such as KZ for kk; else its code in capitals."""
    return None if language is None else pack.document.language_labels.get(language, language.upper())


def manager_document(row: Row, offices: dict[UUID, str]) -> dict[str, Any]:
    """A manager (spec 5, section 7); `offices` are names by id."""
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
    """A business unit (spec 5, section 7)."""
    return {
        "id": row["id"],
        "name": row["name"],
        "address": row["address"],
        "latitude": row["lat"],
        "longitude": row["lon"],
        "geo_quality": row["geo_quality"],
        "managers": row["managers"],
    }
