"""What a changed assignment policy would have done with past tickets; nothing is written (R-ASG-07)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Invalid
from civicpulse.packs.model import Pack, PackDocument, compile_pack
from civicpulse.packs.store import current_pack
from civicpulse.people.agents import list_active_agents
from civicpulse.places.offices import list_offices, office_facts
from civicpulse.requests.assignment import queries
from civicpulse.requests.assignment.assigning import agent_facts, request_facts
from civicpulse.requests.assignment.distributing import manager_facts, ticket_facts
from civicpulse.requests.visibility import Sight
from civicpulse.rules.assignment import assign
from civicpulse.rules.distribution import distribute

Chosen = dict[str, Any]
"""Of one ticket: agent_id, agent, office and the reason; None where nobody was found."""


async def simulate(
    tx: Tx,
    changes: Mapping[str, Any],
    sight: Sight,
    *,
    since: datetime | None,
    until: datetime | None,
    numbers: Sequence[str] | None,
    limit: int,
) -> dict[str, Any]:
    """Decides on the tickets, of those that are seen, twice from the same start, by the policy in force and by the changed one.

    The start is the load of this moment without the tickets in question, oldest turn first. `assigned` is what really
    became of each. `changes` are fields of the pack's sections `assignment` and `distribution`. Raises Invalid.
    """
    pack = await current_pack(tx)
    changed = _changed(pack, changes)
    rows = await queries.past_tickets(tx, sight, since=since, until=until, numbers=numbers, limit=limit)
    before = await _decide(tx, pack, rows)
    after = await _decide(tx, changed, rows)
    items = [_item(row, before[row["id"]], after[row["id"]]) for row in rows]
    return {
        "policy": {"before": _policy(pack), "after": _policy(changed)},
        "counts": _counts(items),
        "offices": _loads(items, "office"),
        "agents": _loads(items, "agent"),
        "items": items,
    }


def _changed(pack: Pack, changes: Mapping[str, Any]) -> Pack:
    """Makes the pack with other fields in `assignment` and `distribution`; checked like any pack."""
    document = pack.document.model_dump(mode="json")
    for section in ("assignment", "distribution"):
        wanted = changes.get(section)
        if wanted:
            document[section] = (document[section] or {}) | wanted
    try:
        return compile_pack(PackDocument.stored(document))
    except ValidationError as error:
        faults = [
            {"field": ".".join(["policy", *map(str, fault["loc"])]), "detail": fault["msg"]}
            for fault in error.errors(include_url=False, include_context=False)
        ]
        raise Invalid("This policy cannot be used: see errors.", errors=faults) from None


async def _decide(tx: Tx, pack: Pack, rows: Sequence[Row]) -> dict[UUID, Chosen]:
    return await (_by_offices(tx, pack, rows) if pack.distribution is not None else _by_agents(tx, pack, rows))


async def _by_offices(tx: Tx, pack: Pack, rows: Sequence[Row]) -> dict[UUID, Chosen]:
    assert pack.distribution is not None
    offices = await list_offices(tx)
    managers = await queries.list_managers(tx, without=[row["id"] for row in rows])
    decided = distribute(
        [ticket_facts(row) for row in rows],
        manager_facts(managers),
        offices=office_facts(offices),
        policy=pack.distribution,
        state=await queries.get_state(tx),
    )
    names = {office["id"]: office["name"] for office in offices} | {one["id"]: one["name"] for one in managers}
    return {
        one.ticket_id: _chosen(one.manager_id, names.get(one.manager_id), names.get(one.office_id), one.reason)
        for one in decided
    }


async def _by_agents(tx: Tx, pack: Pack, rows: Sequence[Row]) -> dict[UUID, Chosen]:
    """Decides for packs that assign among agents; who was on shift counts as of when the ticket was assigned."""
    own = Counter(row["assigned_agent_id"] for row in rows if row["is_open"])
    agents = {row["id"]: row for row in await list_active_agents(tx)}
    loads = {agent_id: row["open_load"] - own[agent_id] for agent_id, row in agents.items()}
    decided: dict[UUID, Chosen] = {}
    for row in rows:
        facts = [replace(agent_facts(agent, row), open_load=loads[agent_id]) for agent_id, agent in agents.items()]
        moment = row["assigned_at"] or row["created_at"]
        decision = assign(request_facts(row, pack), facts, pack.assignment, now=moment)
        winner = decision.winner
        if winner is None:
            decided[row["id"]] = _chosen(None, None, None, decision.reason)
            continue
        loads[winner.id] += 1
        agents[winner.id] = agents[winner.id] | {"last_assigned_at": moment}
        decided[row["id"]] = _chosen(winner.id, winner.name, None, decision.reason)
    return decided


def _chosen(agent_id: UUID | None, agent: str | None, office: str | None, reason: str) -> Chosen:
    return {"agent_id": agent_id, "agent": agent, "office": office, "reason": reason}


def _item(row: Row, before: Chosen, after: Chosen) -> dict[str, Any]:
    assigned = {"agent_id": row["assigned_agent_id"], "agent": row["agent_name"], "office": row["office_name"]}
    return {
        "request_id": row["number"],
        "changed": (before["agent_id"], before["office"]) != (after["agent_id"], after["office"]),
        "assigned": assigned,
        "before": before,
        "after": after,
    }


def _counts(items: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {
        "tickets": len(items),
        "changed": sum(item["changed"] for item in items),
        "other_office": sum(item["before"]["office"] != item["after"]["office"] for item in items),
        "other_agent": sum(item["before"]["agent_id"] != item["after"]["agent_id"] for item in items),
        "unassigned_before": sum(item["before"]["agent_id"] is None for item in items),
        "unassigned_after": sum(item["after"]["agent_id"] is None for item in items),
    }


def _loads(items: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Counts how many of these tickets each office or agent gets, before and after."""
    before, after = (Counter(item[when][name] for item in items if item[when][name]) for when in ("before", "after"))
    return [{name: one, "before": before[one], "after": after[one]} for one in sorted(before | after)]


def _policy(pack: Pack) -> dict[str, Any]:
    shape = pack.document.distribution if pack.distribution is not None else None
    return {
        "assignment": pack.document.assignment.model_dump(mode="json"),
        "distribution": shape.model_dump(mode="json") if shape else None,
    }
