"""Rows for analytics: put into the table directly, so that a test can have any state at any time in any number."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import sql

from civicpulse.base.db import Tx
from civicpulse.base.ids import new_id
from civicpulse.places.cells import cell_of

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STATES = {
    "new": "open",
    "triaged": "open",
    "assigned": "open",
    "in_progress": "open",
    "awaiting_citizen": "waiting",
    "resolved": "resolved",
    "closed": "closed",
}


async def add_row(tx: Tx, *, at: datetime = NOON, lon: float | None = -74.0, lat: float = 40.7, **columns: Any) -> UUID:
    """Inserts one request as it would look like; `columns` win. Its id."""
    status = columns.get("status", "new")
    row: dict[str, Any] = {
        "tenant_id": tx.tenant_id,
        "id": new_id(),
        "pack_version": 1,
        "category": "pothole",
        "description": "A pothole",
        "status": status,
        "state_category": STATES[status],
        "priority": "P3",
        "priority_score": 5,
        "lon": lon,
        "lat": None if lon is None else lat,
        "cell": None if lon is None else cell_of(lon, lat),
        "created_at": at,
        "updated_at": at,
        **columns,
    }
    row.setdefault("number", f"T-{row['id'].hex[-12:]}")
    statement = sql.SQL("INSERT INTO requests ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
    )
    await tx.run(statement, row)
    row_id: UUID = row["id"]
    return row_id


async def change_row(tx: Tx, row_id: UUID, **columns: Any) -> None:
    """Updates columns of one request."""
    statement = sql.SQL("UPDATE requests SET {} WHERE tenant_id = %(tenant_id)s AND id = %(id)s").format(
        sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns)
    )
    await tx.run(statement, {**columns, "tenant_id": tx.tenant_id, "id": row_id})


def random_columns(dice: random.Random, masters: list[UUID]) -> dict[str, Any]:
    """A believable mixture of everything that the ledger counts."""
    status = dice.choice(list(STATES))
    at = NOON - timedelta(minutes=dice.randrange(0, 60 * 24 * 100))
    done = STATES[status] in ("resolved", "closed") and dice.random() < 0.9
    minutes = dice.choice([-40, 3, 50, 700, 9000, 60000]) + dice.random()  # backwards, as v0.1.0 could store it
    return {
        "status": status,
        "state_category": STATES[status],
        "priority": dice.choice(["P1", "P2", "P3", "P4"]),
        "zone_id": dice.choice(["Z1", "Z2", "UNZONED"]),
        "category": dice.choice(["pothole", "noise", "trash"]),
        "is_public": dice.random() < 0.8,
        "master_id": dice.choice(masters) if masters and dice.random() < 0.2 else None,
        "created_at": at,
        "resolved_at": at + timedelta(minutes=minutes) if done else None,
        "sla_state": dice.choice(["on_time", "at_risk", "overdue", "breached", "no_sla"]) if not done else "completed",
        "sla_met": dice.choice([True, False, None]),
        "escalation_count": dice.choice([0, 0, 1, 3]),
        "rating": dice.choice([None, None, 1, 3, 5]),
        "disputes": dice.choice([0] * 9 + [1, 2]),
    }
