"""The SLA sweep: takes the requests whose clock has something to say, and nothing else (R-SLA-05)."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from civicpulse.base import clock as time
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.events import SYSTEM
from civicpulse.base.tenancy import TenantDirectory
from civicpulse.packs.store import pack_version
from civicpulse.requests import clock, queries, store
from civicpulse.requests.changes import follow_masters
from civicpulse.rules.sla import Reading, breach_reason

BATCH = 500

# A request that got back a policy it had before starts its ladder anew: steps of that policy that were told stay told.
TOLD = """
SELECT request_id, pack_version, policy_id, step FROM escalations WHERE tenant_id = %(tenant_id)s AND request_id = ANY(%(ids)s)
"""

FIRE = """
INSERT INTO escalations (tenant_id, request_id, pack_version, policy_id, step, action, role, due_at, fired_at)
SELECT %(tenant_id)s, f.id, f.pack_version, f.policy_id, f.step, f.action, f.role, f.due_at, %(now)s
FROM jsonb_to_recordset(%(steps)s) AS f (id uuid, pack_version int, policy_id text, step smallint, action text, role text, due_at timestamptz)
"""


@dataclass(slots=True)
class SweepReport:
    """What a sweep did: requests looked at, steps fired, states changed."""

    requests: int = 0
    escalations: int = 0
    changes: int = 0


async def sweep(db: Database, tenants: TenantDirectory, *, now: datetime | None = None) -> SweepReport:
    """Sweeps every tenant, batch by batch, each batch one transaction: for commands. Safe to run many at once.

    A tenant whose sweep fails does not hold up the others; its error is raised at the end.
    """
    report, now, errors = SweepReport(), now or time.now(), []
    everyone = await tenants.all()
    for tenant in everyone:
        try:
            while True:
                async with db.transaction(tenant) as tx:
                    taken = await sweep_batch(tx, now=now, report=report)
                if taken < BATCH:
                    break
        except Exception as error:  # noqa: BLE001 - raised below, when the other tenants have been served
            errors.append(error)
    if errors:
        raise ExceptionGroup(f"the sweep failed for {len(errors)} of {len(everyone)} tenants", errors)
    return report


async def sweep_batch(tx: Tx, *, now: datetime, report: SweepReport) -> int:
    """Applies up to BATCH due clocks of one tenant in this transaction; how many it took."""
    rows = await queries.lock_due(tx, now=now, limit=BATCH)
    if not rows:
        return 0
    readings = [(row, clock.read_row(row, await pack_version(tx, row["pack_version"]), now)) for row in rows]
    fired = await _told_before(tx, [row["id"] for row, reading in readings if reading.due_steps])
    changes, steps = list[store.Changed](), list[dict[str, Any]]()
    for row, read in readings:
        reading = _without_told(row, read, fired)
        columns = _columns(row, reading, passed=len(read.due_steps))
        changes.append(store.Changed(row["id"], columns, _events(row, reading)))
        steps += _steps(row, reading)
        report.escalations += len(reading.due_steps)
        report.changes += reading.state != row["sla_state"]
    if steps:
        await tx.run(FIRE, {"steps": Jsonb(steps), "tenant_id": tx.tenant_id, "now": now})
    await store.change(tx, SYSTEM, changes, at=now)
    leading = [row | {"sla_state": read.state} for row, read in readings if read.state != row["sla_state"]]
    await follow_masters(tx, SYSTEM, leading, at=now)
    report.requests += len(rows)
    return len(rows)


async def _told_before(tx: Tx, ids: list[UUID]) -> set[tuple[Any, ...]]:
    rows = await tx.rows(TOLD, {"tenant_id": tx.tenant_id, "ids": ids}) if ids else []
    return {(row["request_id"], row["pack_version"], row["policy_id"], row["step"]) for row in rows}


def _without_told(row: Row, reading: Reading, fired: set[tuple[Any, ...]]) -> Reading:
    if not reading.due_steps or not fired:
        return reading
    about = (row["id"], row["pack_version"], row["sla"]["policy_id"])
    return replace(reading, due_steps=tuple(due for due in reading.due_steps if (*about, due[0]) not in fired))


def _columns(row: Row, reading: Reading, *, passed: int) -> dict[str, Any]:
    # When steps were due the reading's next moment is that of what comes after them; a duplicate has no clock.
    return {
        "sla_state": reading.state,
        "sla_due_at": reading.due_at,
        "sla_met": reading.met,
        "next_sla_at": reading.next_at if row["master_id"] is None else None,
        "sla_steps_fired": row["sla_steps_fired"] + passed,
        "escalation_count": row["escalation_count"] + len(reading.due_steps),
        "breach_reason": breach_reason(row["breach_reason"], state=reading.state, met=reading.met),
    }


def _steps(row: Row, reading: Reading) -> list[dict[str, Any]]:
    return [
        {
            "id": str(row["id"]),
            "pack_version": row["pack_version"],
            "policy_id": row["sla"]["policy_id"],
            "step": index,
            "action": step.action,
            "role": step.role,
            "due_at": _text(at),
        }
        for index, step, at in reading.due_steps
    ]


def _events(row: Row, reading: Reading) -> list[store.Event]:
    told = list[store.Event]()
    if reading.state != row["sla_state"]:
        meta = {"from": row["sla_state"], "to": reading.state, "due_at": _text(reading.due_at)}
        told.append(store.Event("request.sla_changed", meta))
    for index, step, at in reading.due_steps:
        about = {
            "step": index,
            "action": step.action,
            "role": step.role,
            "due_at": _text(at),
            "after_hours": step.after_hours,
        }
        about |= {"manual": False, "sla_state": reading.state, "policy_id": row["sla"]["policy_id"]}
        told.append(store.Event("request.escalated", about))
    return told


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
