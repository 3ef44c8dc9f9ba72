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
from civicpulse.requests import clock, queries
from civicpulse.rules.sla import Reading

BATCH = 500

# A request that got back a policy it had before starts its ladder anew: steps of that policy that were told stay told.
TOLD = """
SELECT request_id, pack_version, policy_id, step FROM escalations WHERE tenant_id = %(tenant_id)s AND request_id = ANY(%(ids)s)
"""

# One statement a batch, on rows that this transaction holds.
APPLY = """
WITH news AS (
    SELECT item.id, item.sla_state, item.sla_due_at, item.sla_met, item.next_sla_at, item.steps_fired, item.escalations, item.events
    FROM jsonb_to_recordset(%(news)s) AS item (
        id uuid, sla_state text, sla_due_at timestamptz, sla_met boolean, next_sla_at timestamptz, steps_fired smallint,
        escalations int, events int)
), told AS (
    UPDATE requests r SET sla_state = n.sla_state, sla_due_at = n.sla_due_at, sla_met = n.sla_met, next_sla_at = n.next_sla_at,
        sla_steps_fired = n.steps_fired, escalation_count = r.escalation_count + n.escalations,
        breach_reason = CASE WHEN n.sla_state IN ('overdue', 'breached') THEN coalesce(r.breach_reason, 'timeout') ELSE r.breach_reason END,
        event_seq = r.event_seq + n.events, version = r.version + CASE WHEN n.events > 0 THEN 1 ELSE 0 END,
        updated_at = CASE WHEN n.events > 0 THEN %(now)s ELSE r.updated_at END
    FROM news n WHERE r.tenant_id = %(tenant_id)s AND r.id = n.id
), fired AS (
    INSERT INTO escalations (tenant_id, request_id, pack_version, policy_id, step, action, role, due_at, fired_at)
    SELECT %(tenant_id)s, f.id, f.pack_version, f.policy_id, f.step, f.action, f.role, f.due_at, %(now)s
    FROM jsonb_to_recordset(%(steps)s) AS f (id uuid, pack_version int, policy_id text, step smallint, action text, role text, due_at timestamptz)
), recorded AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    SELECT %(tenant_id)s, e.id, e.seq, e.type, 'system', %(actor)s, %(now)s, e.meta
    FROM jsonb_to_recordset(%(events)s) AS e (id uuid, seq int, type text, meta jsonb)
    ORDER BY e.id, e.seq
    RETURNING tenant_id, subject_id, seq, type
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM recorded
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
    rows = await queries.lock_due(tx, now=now, most=BATCH)
    if not rows:
        return 0
    readings = [(row, clock.read_row(row, await pack_version(tx, row["pack_version"]), now)) for row in rows]
    fired = await _told_before(tx, [row["id"] for row, reading in readings if reading.due_steps])
    news, steps, events = [], [], []
    for row, read in readings:
        reading = _without_told(row, read, fired)
        told = _events(row, reading)
        news.append(_news(row, reading, passed=len(read.due_steps), events=len(told)))
        steps += _steps(row, reading)
        events += told
        report.escalations += len(reading.due_steps)
        report.changes += reading.state != row["sla_state"]
    values = {"news": Jsonb(news), "steps": Jsonb(steps), "events": Jsonb(events)}
    await tx.run(APPLY, values | {"tenant_id": tx.tenant_id, "now": now, "actor": SYSTEM.id})
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


def _news(row: Row, reading: Reading, *, passed: int, events: int) -> dict[str, Any]:
    # When steps were due the reading's next moment is that of what comes after them; a duplicate has no clock.
    return {
        "id": str(row["id"]),
        "sla_state": reading.state,
        "sla_due_at": _text(reading.due_at),
        "sla_met": reading.met,
        "next_sla_at": _text(reading.next_at) if row["master_id"] is None else None,
        "steps_fired": row["sla_steps_fired"] + passed,
        "escalations": len(reading.due_steps),
        "events": events,
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


def _events(row: Row, reading: Reading) -> list[dict[str, Any]]:
    told: list[tuple[str, dict[str, Any]]] = []
    if reading.state != row["sla_state"]:
        told.append(("sla_state", {"from": row["sla_state"], "to": reading.state, "due_at": _text(reading.due_at)}))
    for index, step, at in reading.due_steps:
        about = {
            "step": index,
            "action": step.action,
            "role": step.role,
            "due_at": _text(at),
            "after_hours": step.after_hours,
        }
        told.append(
            (
                "sla_escalation",
                about | {"manual": False, "sla_state": reading.state, "policy_id": row["sla"]["policy_id"]},
            )
        )
    return [
        {"id": str(row["id"]), "seq": row["event_seq"] + number, "type": type, "meta": meta}
        for number, (type, meta) in enumerate(told, 1)
    ]


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
