"""The queue of unassigned requests distributed over offices, thousands in a transaction (R-ASG-05)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import RuleRefused
from civicpulse.base.events import SYSTEM, Actor
from civicpulse.base.ids import new_id
from civicpulse.packs.model import Pack
from civicpulse.requests.distributing import (
    candidates_json,
    distribute_requests,
    failures_json,
    steps_json,
)
from civicpulse.requests.queries import follow_masters
from civicpulse.rules.distribution import Distribution
from civicpulse.rules.outcome import Refusal
from civicpulse.rules.workflow import decide_transition

ASSIGNED: Final = "assigned"

# Highest priority first, equal ones as they came.
QUEUE = """
SELECT r.id, r.priority_score, r.created_at FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.status = %(initial)s AND r.master_id IS NULL
  AND (%(score)s::int IS NULL OR (-r.priority_score, r.created_at, r.id) > (-%(score)s, %(at)s::timestamptz, %(id)s::uuid))
ORDER BY r.priority_score DESC, r.created_at, r.id LIMIT %(most)s
"""

LOCK_QUEUED = """
SELECT r.id FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.id = ANY (%(ids)s) AND r.status = %(initial)s AND r.master_id IS NULL
ORDER BY r.created_at, r.id FOR UPDATE
"""

# Those that stay without a manager keep their state; the same reason is not written down twice.
WRITE = """
WITH given AS MATERIALIZED (
    SELECT g.id, g.request_id, g.agent_id, g.office_id, g.reason, g.candidates, g.failures, g.steps, g.ids,
           a.agent_code,
           g.agent_id IS NOT NULL OR g.reason IS DISTINCT FROM (
               SELECT x.reason FROM assignments x WHERE x.tenant_id = %(tenant_id)s AND x.request_id = g.request_id
               ORDER BY x.decided_at DESC LIMIT 1) AS is_news
    FROM json_to_recordset(%(rows)s::json) AS g (id uuid, request_id uuid, agent_id uuid, office_id uuid, reason text,
        candidates jsonb, failures jsonb, steps jsonb, ids json)
    LEFT JOIN agents a ON a.tenant_id = %(tenant_id)s AND a.id = g.agent_id
), changed AS (
    UPDATE requests r SET
        status = CASE WHEN g.agent_id IS NULL THEN r.status ELSE %(status)s END,
        state_category = CASE WHEN g.agent_id IS NULL THEN r.state_category ELSE %(state_category)s END,
        assigned_at = CASE WHEN g.agent_id IS NULL THEN r.assigned_at ELSE %(at)s END,
        assigned_agent_id = g.agent_id, office_id = g.office_id, assignment_policy = %(policy)s,
        candidate_agents = ARRAY(SELECT json_array_elements_text(g.ids)::uuid),
        version = r.version + 1, event_seq = r.event_seq + 1, updated_at = %(at)s
    FROM given g WHERE r.tenant_id = %(tenant_id)s AND r.id = g.request_id AND g.is_news
    RETURNING r.id, r.event_seq, r.status
), kept AS (
    INSERT INTO assignments (tenant_id, id, request_id, agent_id, office_id, policy, reason, candidates, failures, steps, decided_at,
                             decided_by)
    SELECT %(tenant_id)s, g.id, g.request_id, g.agent_id, g.office_id, %(policy)s, g.reason, g.candidates, g.failures, g.steps,
           %(at)s, %(by)s
    FROM given g WHERE g.is_news
), told AS (
    INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta)
    SELECT %(tenant_id)s, c.id, c.event_seq, CASE WHEN g.agent_id IS NULL THEN 'assignment_failed' ELSE %(status)s END,
           %(actor_type)s, %(actor_id)s, %(at)s,
           CASE WHEN g.agent_id IS NULL THEN jsonb_build_object('reason', g.reason)
                ELSE jsonb_build_object('from', %(initial)s::text, 'to', %(status)s::text, 'assigned_agent_id', g.agent_id,
                                        'agent_code', g.agent_code, 'reason', g.reason) END
    FROM changed c JOIN given g ON g.request_id = c.id
    RETURNING tenant_id, subject_id, seq, type
), touched AS (
    UPDATE agents SET last_assigned_at = %(at)s
    WHERE tenant_id = %(tenant_id)s AND id IN (SELECT g.agent_id FROM given g WHERE g.agent_id IS NOT NULL)
)
INSERT INTO outbox (tenant_id, subject_id, seq, type) SELECT tenant_id, subject_id, seq, type FROM told
"""

COUNT_MANAGERS = "SELECT count(*)::int FROM agents WHERE tenant_id = %(tenant_id)s AND office_id IS NOT NULL AND active"


@dataclass(frozen=True, slots=True)
class Place:
    """A request's place in the queue."""

    score: int
    at: datetime
    id: UUID


async def queued(tx: Tx, pack: Pack, *, after: Place | None, most: int) -> list[Place]:
    """The next requests in their first state, wherever they came from: highest priority first, then oldest first."""
    values = {"tenant_id": tx.tenant_id, "initial": pack.workflow.initial, "most": most}
    values |= {"score": after.score, "at": after.at, "id": after.id} if after else dict.fromkeys(("score", "at", "id"))
    rows = await tx.rows(QUEUE, values)
    return [Place(row["priority_score"], row["created_at"], row["id"]) for row in rows]


async def assign_queued(tx: Tx, actor: Actor, pack: Pack, ids: Sequence[UUID]) -> list[UUID]:
    """Distributes requests that still wait in the queue and writes what was decided; the ids of the assigned ones.

    The same decisions, rows and events as of `auto_assign` one after the other, highest priority first. Takes the
    tenant's assign lock. Raises RuleRefused when the pack's workflow does not let the machine assign.
    """
    # The rows before the tenant's lock, as whoever assigns by hand takes them: the other way round two wait for each other.
    locked = await tx.rows(LOCK_QUEUED, {"tenant_id": tx.tenant_id, "ids": list(ids), "initial": pack.workflow.initial})
    if not locked:
        return []
    state = _target(pack)
    decided = await distribute_requests(tx, pack, [row["id"] for row in locked])
    now = clock.now()
    values = {
        "tenant_id": tx.tenant_id,
        "rows": _rows(decided),
        "policy": pack.assignment.name,
        "initial": pack.workflow.initial,
        "status": ASSIGNED,
        "state_category": state,
        "at": now,
        "by": actor.key,
        "actor_type": actor.type,
        "actor_id": actor.id,
    }
    await tx.run(WRITE, values)
    assigned = [decision.ticket_id for decision in decided if decision.manager_id is not None]
    await follow_masters(tx, actor, assigned, at=now)
    return assigned


async def count_managers(tx: Tx) -> int:
    """How many managers of offices there are to give something to."""
    found: int = await tx.value(COUNT_MANAGERS, {"tenant_id": tx.tenant_id})
    return found


def _target(pack: Pack) -> str:
    """The category of the state "assigned"."""
    present = frozenset({"category", "priority", "zone_id", "assigned_agent_id"})
    outcome = decide_transition(
        pack.workflow,
        current=pack.workflow.initial,
        to=ASSIGNED,
        role=SYSTEM.role,
        is_bound=SYSTEM.is_bound,
        present=present,
    )
    if isinstance(outcome, Refusal):
        raise RuleRefused(outcome)
    return outcome.target.category


def _rows(decided: Iterable[Distribution]) -> str:
    """The decisions as JSON. Who may not is the same for most tickets of an office, and is put into words once."""
    failures: dict[int, list[Row]] = {}
    rows = list[Row]()
    for decision in decided:
        key = id(decision.failures)
        if key not in failures:
            failures[key] = failures_json(decision)
        rows.append(_row(decision, failures[key]))
    return orjson.dumps(rows).decode()


def _row(decision: Distribution, failures: list[Row]) -> Row:
    candidates = candidates_json(decision)
    return {
        "id": new_id(),
        "request_id": decision.ticket_id,
        "agent_id": decision.manager_id,
        "office_id": decision.office_id,
        "reason": decision.reason,
        "candidates": candidates,
        "failures": failures,
        "steps": steps_json(decision),
        "ids": [one["agent_id"] for one in candidates],
    }
