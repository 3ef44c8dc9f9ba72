"""Issues: master requests in spec 3's shape, with how many people reported each."""

from typing import Any, Final

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid
from civicpulse.packs.model import Pack
from civicpulse.reports.statuses import word_of
from civicpulse.requests.changes import not_found
from civicpulse.rules.priority import PRIORITIES, PRIORITY_OF_SEVERITY, SEVERITY_OF_PRIORITY

SUMMARY_MOST: Final = 200  # characters of a description that stand for the summary where there is no analysis

FIND_ISSUE = """
SELECT m.id, m.number FROM requests r JOIN requests m ON m.tenant_id = r.tenant_id AND m.id = coalesce(r.master_id, r.id)
WHERE r.tenant_id = %(tenant_id)s AND r.number = %(number)s
"""


async def find_issue(tx: Tx, number: str) -> Row:
    """Id and number of the master behind a request's number. Raises NotFound."""
    found = await tx.row(FIND_ISSUE, {"tenant_id": tx.tenant_id, "number": number})
    if found is None:
        raise not_found(number)
    return found


def priorities_of(severities: list[str]) -> list[str]:
    """P1..P4 for critical, high, medium, low; a priority stands for itself. Raises Invalid for any other word."""
    known = {**PRIORITY_OF_SEVERITY, **{priority: priority for priority in PRIORITIES}}
    unknown = [word for word in severities if word not in known]
    if unknown:
        raise Invalid(f"severity is one of {', '.join(PRIORITY_OF_SEVERITY)}.", field="severity")
    return [known[word] for word in severities]


def issue_document(row: Row, facts: Row, pack: Pack, *, tenant: str) -> dict[str, Any]:
    """One issue: `row` is the master's, `facts` what issue_queries.issue_facts says of it."""
    count, created_at = facts["count"], row["created_at"]
    place = {"type": "Point", "coordinates": [row["lon"], row["lat"]]} if row["lon"] is not None else {}
    return {
        "id": row["id"],
        "request_id": row["number"],
        "tenant": tenant,
        "area_id": row["zone_id"],
        "category": row["category"],
        "severity": SEVERITY_OF_PRIORITY[row["priority"]],
        "priority": row["priority"],
        "status": word_of(pack, row["status"]),
        "state": row["status"],
        "summary": facts["summary"] or _start_of(row["description"]),
        "description": row["description"],
        "location": {"type": None, "coordinates": None, **place, "address_hint": row["address_hint"]},
        "created_at": created_at,
        "resolved_at": row["resolved_at"],
        "report_count": 1 + count,
        "first_reported_at": min(created_at, facts["first_at"] or created_at),
        "last_reported_at": max(created_at, facts["last_at"] or created_at),
        "sla": {"state": row["sla_state"], "due_at": row["sla_due_at"]},
    }


def _start_of(description: str) -> str:
    plain = " ".join(description.split())
    return plain if len(plain) <= SUMMARY_MOST else f"{plain[: SUMMARY_MOST - 1].rstrip()}…"


def reports_json(rows: list[Row]) -> list[dict[str, Any]]:
    """Who reported an issue, oldest first, for staff: its own request and its duplicates."""
    return [
        {
            "request_id": row["number"],
            "report_id": row["report_id"],
            "source": row["source"],
            "is_master": row["is_master"],
            "outcome": row["outcome"],
            "description": row["description"],
            "address_hint": row["address_hint"],
            "submitted_at": row["created_at"],
        }
        for row in rows
    ]
