"""Every statement of the distribution over offices."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from civicpulse.base.conditions import is_open
from civicpulse.base.db import Row, Tx
from civicpulse.people.queries import open_loads
from civicpulse.requests.visibility import Sight
from civicpulse.rules.distribution import DistributionState

# current_load = base_load + open masters assigned here.
# Materialized: counted once, and not once for each manager, whatever the planner believes of a table that grows by the hour.
MANAGERS = f"""
WITH load AS MATERIALIZED ({open_loads(of="r.id <> ALL (%(without)s)")})
SELECT a.id, a.agent_code, a.name, a.office_id, a.position, a.skills, a.base_load,
       a.base_load + coalesce(load.open_load, 0) AS current_load
FROM agents a LEFT JOIN load ON load.id = a.id
WHERE a.tenant_id = %(tenant_id)s AND a.active AND a.office_id IS NOT NULL
ORDER BY a.name COLLATE "C", a.id
"""

# The latest analysis is the current one.
TICKET_COLUMNS = """r.id, r.number, r.category, r.priority_score, r.segment, r.lon, r.lat, r.country_code, r.geo_quality,
    r.created_at, (SELECT n.language FROM analyses n WHERE n.tenant_id = r.tenant_id AND n.request_id = r.id
                   ORDER BY n.created_at DESC, n.id DESC LIMIT 1) AS language"""

TICKETS = f"""
SELECT {TICKET_COLUMNS}, r.assigned_agent_id FROM requests r WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY (%(ids)s)
ORDER BY r.created_at, r.id
"""

GET_STATE = "SELECT state FROM distribution_state WHERE tenant_id = %(tenant_id)s"

PUT_STATE = """
INSERT INTO distribution_state (tenant_id, state, updated_at) VALUES (%(tenant_id)s, %(state)s, %(at)s)
ON CONFLICT (tenant_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at
"""

PAST_TICKETS = sql.SQL(f"""
SELECT {TICKET_COLUMNS}, r.zone_id, r.sub_category, r.priority, r.assigned_agent_id, r.office_id, r.assigned_at,
       {is_open("r")} AS is_open,
       a.name AS agent_name, a.agent_code, o.name AS office_name
FROM requests r
LEFT JOIN agents a ON a.tenant_id = r.tenant_id AND a.id = r.assigned_agent_id
LEFT JOIN offices o ON o.tenant_id = r.tenant_id AND o.id = r.office_id
WHERE r.tenant_id = %(tenant_id)s AND r.master_id IS NULL
  AND (%(since)s::timestamptz IS NULL OR r.created_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR r.created_at < %(until)s)
  AND (%(numbers)s::text[] IS NULL OR r.number = ANY (%(numbers)s)) AND {{seen}}
ORDER BY r.created_at DESC, r.id DESC LIMIT %(limit)s
""")


async def list_managers(tx: Tx, *, without: Sequence[UUID] = ()) -> list[Row]:
    """Lists active agents of all offices with their `current_load`, not counting the requests `without`. By name."""
    return await tx.rows(MANAGERS, {"tenant_id": tx.tenant_id, "without": list(without)})


async def list_tickets(tx: Tx, ids: Sequence[UUID]) -> list[Row]:
    """Lists what a distribution asks of requests, oldest first."""
    return await tx.rows(TICKETS, {"tenant_id": tx.tenant_id, "ids": list(ids)})


async def get_state(tx: Tx) -> DistributionState:
    """Reads whose turn it is. Callers hold the tenant's assign lock."""
    return DistributionState.from_json(await tx.value(GET_STATE, {"tenant_id": tx.tenant_id}))


async def put_state(tx: Tx, state: DistributionState, *, at: datetime) -> None:
    """Remembers whose turn it is."""
    await tx.run(PUT_STATE, {"tenant_id": tx.tenant_id, "state": Jsonb(state.to_json()), "at": at})


async def past_tickets(
    tx: Tx, sight: Sight, *, since: datetime | None, until: datetime | None, numbers: Sequence[str] | None, limit: int
) -> list[Row]:
    """Finds the newest masters of a time or of a list that are seen, oldest first, with whom they are assigned to."""
    values: dict[str, Any] = {
        "tenant_id": tx.tenant_id,
        "since": since,
        "until": until,
        "numbers": list(numbers) if numbers is not None else None,
        "limit": limit,
    }
    return (await tx.rows(PAST_TICKETS.format(seen=sight.predicate()), values | sight.parameters))[::-1]
