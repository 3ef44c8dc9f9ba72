"""The queue of unassigned requests distributed over offices, thousands in a transaction (R-ASG-05)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.base.ids import new_id
from civicpulse.packs.model import Pack
from civicpulse.people import queries as people
from civicpulse.requests import queries
from civicpulse.requests.actions import decide_move, give_to, move_as_decided
from civicpulse.requests.assignment.distributing import (
    candidates_json,
    distribute_requests,
    failures_json,
    steps_json,
)
from civicpulse.requests.changes import Change, apply_all, open_changes
from civicpulse.rules.distribution import Distribution
from civicpulse.rules.outcome import Refusal
from civicpulse.rules.words.saying import say_refusal
from civicpulse.rules.workflow import Decision

# Highest priority first, equal ones as they came.
QUEUE = """
SELECT r.id, r.priority_score, r.created_at FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.status = %(initial)s AND r.master_id IS NULL
  AND (%(score)s::int IS NULL OR (-r.priority_score, r.created_at, r.id) > (-%(score)s, %(at)s::timestamptz, %(id)s::uuid))
ORDER BY r.priority_score DESC, r.created_at, r.id LIMIT %(limit)s
"""

LAST_REASONS = """
SELECT DISTINCT ON (a.request_id) a.request_id, a.reason FROM assignments a
WHERE a.tenant_id = %(tenant_id)s AND a.request_id = ANY (%(ids)s) ORDER BY a.request_id, a.decided_at DESC
"""

COUNT_MANAGERS = "SELECT count(*)::int FROM agents WHERE tenant_id = %(tenant_id)s AND office_id IS NOT NULL AND active"


@dataclass(frozen=True, slots=True)
class Place:
    """A request's place in the queue."""

    score: int
    at: datetime
    id: UUID


async def queued(tx: Tx, pack: Pack, *, after: Place | None, limit: int) -> list[Place]:
    """Finds the next requests in their first state, wherever they came from: highest priority first, then oldest first."""
    values = {"tenant_id": tx.tenant_id, "initial": pack.workflow.initial, "limit": limit}
    values |= {"score": after.score, "at": after.at, "id": after.id} if after else dict.fromkeys(("score", "at", "id"))
    rows = await tx.rows(QUEUE, values)
    return [Place(row["priority_score"], row["created_at"], row["id"]) for row in rows]


async def assign_queued(tx: Tx, actor: Actor, pack: Pack, ids: Sequence[UUID]) -> list[UUID]:
    """Distributes requests that still wait in the queue and writes what was decided; the ids of the assigned ones.

    Decisions, rows and events are those of `auto_assign` one after the other, highest priority first. The workflow is
    asked for each request with its own facts; one that it does not let be assigned stays, with the reason. Takes the
    tenant's assign lock.
    """
    # The rows before the tenant's lock, as whoever assigns by hand takes them: the other way round two wait for each other.
    now = clock.now()
    opened = await open_changes(tx, actor, ids, at=now)
    waiting = {
        key: change
        for key, change in opened.items()
        if change.row["status"] == pack.workflow.initial and change.row["master_id"] is None
    }
    if not waiting:
        return []
    moves = {key: _decide(change) for key, change in waiting.items()}
    allowed = [key for key, move in moves.items() if not isinstance(move, Refusal)]
    decided = list(await distribute_requests(tx, pack, allowed)) if allowed else []
    codes = await people.agent_codes(tx, [one.manager_id for one in decided if one.manager_id is not None])
    kept = _kept(decided, codes) + [
        _refused(key, move, pack) for key, move in moves.items() if isinstance(move, Refusal)
    ]
    news = await _news(tx, kept)
    changes = [_change(waiting[one["request_id"]], one, moves, pack) for one in news]
    await apply_all(tx, actor, changes, at=now)
    await queries.add_assignments(tx, news, policy=pack.assignment.name, at=now, by=actor.key)
    assigned = [one["request_id"] for one in news if one["agent_id"] is not None]
    await people.touch_agents(tx, list({one["agent_id"] for one in news if one["agent_id"] is not None}), at=now)
    return assigned


async def count_managers(tx: Tx) -> int:
    """Counts the managers of offices who can be given something."""
    found: int = await tx.value(COUNT_MANAGERS, {"tenant_id": tx.tenant_id})
    return found


def _decide(change: Change) -> Decision | Refusal | None:
    """Asks what the workflow says to a request that has got an agent; None where being assigned moves nothing."""
    to = change.pack.assigned_state
    return None if to is None else decide_move(change, to, said={"assigned_agent_id": True})


async def _news(tx: Tx, kept: Sequence[Row]) -> list[Row]:
    """Picks the decisions, but those that leave a request without an agent for the reason that was written down last."""
    left = [one["request_id"] for one in kept if one["agent_id"] is None]
    rows = await tx.rows(LAST_REASONS, {"tenant_id": tx.tenant_id, "ids": left}) if left else []
    last = {row["request_id"]: row["reason"] for row in rows}
    return [one for one in kept if one["agent_id"] is not None or last.get(one["request_id"]) != one["reason"]]


def _change(change: Change, kept: Row, moves: Mapping[UUID, Decision | Refusal | None], pack: Pack) -> Change:
    change.set(
        office_id=kept["office_id"],
        assigned_agent_id=kept["agent_id"],
        assignment_policy=pack.assignment.name,
        candidate_agents=[one["agent_id"] for one in kept["candidates"]],
    )
    move, agent_id = moves[change.row["id"]], kept["agent_id"]
    if agent_id is None:
        change.tell("request.assignment_failed", reason=kept["reason"])
        return change
    code, reason = kept["agent_code"], kept["reason"]
    give_to(change, agent_id, code, reason=reason, office_id=kept["office_id"])
    if isinstance(move, Decision):
        said = {"assigned_agent_id": str(agent_id), "agent_code": code, "reason": reason}
        move_as_decided(change, move, said=said)
    return change


def _kept(decided: Iterable[Distribution], codes: Mapping[UUID, str]) -> list[Row]:
    """Makes rows of the decisions. Who may not is alike for most requests of an office, and is put into words once."""
    failures: dict[int, list[dict[str, Any]]] = {}
    rows = list[Row]()
    for decision in decided:
        key = id(decision.failures)
        if key not in failures:
            failures[key] = failures_json(decision)
        rows.append(
            {
                "id": new_id(),
                "request_id": decision.ticket_id,
                "agent_id": decision.manager_id,
                "agent_code": codes.get(decision.manager_id) if decision.manager_id else None,
                "office_id": decision.office_id,
                "reason": decision.reason,
                "candidates": candidates_json(decision),
                "failures": failures[key],
                "steps": steps_json(decision),
            }
        )
    return rows


def _refused(request_id: UUID, refusal: Refusal, pack: Pack) -> Row:
    nobody: Row = {
        "agent_id": None,
        "agent_code": None,
        "office_id": None,
        "candidates": [],
        "failures": [],
        "steps": [],
    }
    return nobody | {"id": new_id(), "request_id": request_id, "reason": say_refusal(refusal, pack.titles).detail}
