"""The distribution over offices: gathers facts, asks the rule, keeps whose turn it is (R-ASG-05)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.ids import lock_number
from civicpulse.packs.model import Pack
from civicpulse.places.offices import list_offices, office_facts
from civicpulse.requests.assignment import queries
from civicpulse.rules.distribution import Distributed, Distribution, ManagerFacts, TicketFacts, distribute


async def lock_assigning(tx: Tx) -> None:
    """Lets one assignment at a time into a tenant, until the transaction ends: the next one counts the load that this one adds."""
    await tx.value("SELECT pg_advisory_xact_lock(%s)", [lock_number(tx.tenant_id, "assign")])


async def distribute_requests(tx: Tx, pack: Pack, ids: Sequence[UUID]) -> Distributed:
    """Decides on requests by the pack's cascade and remembers whose turn it is next. Writes nothing on the requests.

    The loads are those at this moment without the requests in question. Takes the tenant's assign lock.
    """
    assert pack.distribution is not None, "the pack has no distribution over offices"
    await lock_assigning(tx)
    rows = await queries.list_tickets(tx, ids)
    held = [
        row["id"] for row in rows if row["assigned_agent_id"] is not None
    ]  # few: a thousand would be slow to leave out
    decided = distribute(
        [ticket_facts(row) for row in rows],
        manager_facts(await queries.list_managers(tx, without=held)),
        offices=office_facts(await list_offices(tx)),
        policy=pack.distribution,
        state=await queries.get_state(tx),
    )
    await queries.put_state(tx, decided.state, at=clock.now())
    return decided


def ticket_facts(row: Row) -> TicketFacts:
    """Reads a row of `list_tickets` as the rule takes it. A point that came without a quality was measured, not looked up."""
    has_point = row["lon"] is not None and row["lat"] is not None
    return TicketFacts(
        id=row["id"],
        category=row["category"],
        priority=row["priority_score"],
        segment=row["segment"],
        language=row["language"],
        lon=row["lon"],
        lat=row["lat"],
        country=row["country_code"],
        quality=row["geo_quality"] or ("house" if has_point else "none"),
    )


def manager_facts(rows: Sequence[Row]) -> list[ManagerFacts]:
    """Makes facts of rows of `list_managers`, as the rule takes them."""
    return [
        ManagerFacts(
            id=row["id"],
            name=row["name"],
            office_id=row["office_id"],
            position=row["position"],
            skills=frozenset(row["skills"]),
            load=row["current_load"],
        )
        for row in rows
    ]


def steps_json(decision: Distribution) -> list[dict[str, Any]]:
    """Writes the steps of a decision, as stored and served."""
    return [step.to_json() for step in decision.steps]


def candidates_json(decision: Distribution) -> list[dict[str, Any]]:
    """Names those between whom the turn decided, the winner first."""
    ranked = sorted(decision.candidates, key=lambda candidate: candidate[0] != decision.manager_id)
    return [{"agent_id": str(agent_id), "name": name, "open_load": load} for agent_id, name, load in ranked]


def failures_json(decision: Distribution) -> list[dict[str, Any]]:
    """Writes the managers of the first office who may not, each with the rule that says so."""
    return [
        {"agent_id": str(one.manager_id), "name": one.name, "step": one.rule, "detail": one.lacks}
        for one in decision.failures
    ]
