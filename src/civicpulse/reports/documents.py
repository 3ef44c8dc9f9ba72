"""A report as its document: what anybody may know, and what staff and the reporter see (spec 3)."""

from typing import Any

from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.reports.statuses import word_of


def report_document(row: Row, pack: Pack | None, *, is_staff: bool, is_reporter: bool) -> dict[str, Any]:
    """`row` as queries.COLUMNS reads it; `pack` is the issue's, None while there is none.

    A stranger who knows the id learns what became of the report, the reporter and staff also what was decided and why.
    """
    document: dict[str, Any] = {
        "id": row["id"],
        "processed": row["state"] == "processed",
        "state": row["state"],
        "outcome": row["outcome"],
        "submitted_at": row["submitted_at"],
        "processed_at": row["processed_at"],
        "issue": _issue(row, pack),
    }
    if not (is_staff or is_reporter):
        return document
    document |= {
        "description": row["description"],
        "location": row["location"],
        "tags": row["tags"],
        "asset_id": row["asset_id"],
        "request_id": row["number"],
        "decision": row["decision"] if is_staff or row["decision"] is None else _without_private(row["decision"]),
        "attempts": row["attempts"],
    }
    if is_staff:
        document |= {name: row[name] for name in ("external_id", "citizen_id", "last_error")}
        document["next_try_at"] = row["due_at"]
    return document


def _issue(row: Row, pack: Pack | None) -> dict[str, Any] | None:
    if row["issue_number"] is None or pack is None:
        return None
    status = row["issue_status"]
    return {"request_id": row["issue_number"], "status": word_of(pack, status), "state": status}


def _without_private(decision: dict[str, Any]) -> dict[str, Any]:
    """The decision without proposed twins that are not public: a reporter must not find out where private reports lie."""
    duplicates = decision["duplicates"]
    if duplicates["outcome"] == "attached":
        return decision
    shown = [match for match in duplicates["candidates"] if match["is_public"]]
    return decision | {"duplicates": duplicates | {"candidates": shown}}
