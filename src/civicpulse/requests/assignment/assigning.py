"""Who gets a request: gathers the facts, asks the rule, writes the decision with its reasons (R-ASG-01)."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from shapely import Point
from shapely.geometry import shape

from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict
from civicpulse.base.events import Actor
from civicpulse.base.ids import new_id
from civicpulse.packs.model import Pack
from civicpulse.people import queries as people
from civicpulse.people.agents import list_active_agents
from civicpulse.requests import queries
from civicpulse.requests.actions import check_move, give_to, move
from civicpulse.requests.assignment.distributing import distribute_requests, lock_assigning, steps_json
from civicpulse.requests.changes import Change, open_change
from civicpulse.rules.assignment import AgentFacts, Assignment, Failure, Ranked, RequestFacts, assign
from civicpulse.rules.distribution import Distribution
from civicpulse.rules.lifecycle import is_ended
from civicpulse.rules.shifts import Schedule, shift_of


class NobodyAvailable(Conflict):
    """The policy found no agent; the decision and its reasons are stored all the same."""

    code, title = "no_agent_available", "No agent available"


async def auto_assign(tx: Tx, actor: Actor, number: str, *, seen_version: int | None = None) -> tuple[Row, Assignment]:
    """Finds the agent by the pack's policy and moves the request to assigned. Returns the row and the decision.

    With nobody to give it to, the decision's winner is None, it is stored with its reasons and the state stays.
    """
    change = await open_change(tx, actor, number, seen_version=seen_version)
    check_open_to_assigning(change)
    await lock_assigning(tx)
    if change.pack.distribution is not None:
        distributed = (await distribute_requests(tx, change.pack, [change.row["id"]])).decisions[0]
        decision = await _as_assignment(change, distributed)
        await _store(change, decision, office_id=distributed.office_id, steps=steps_json(distributed))
        change.set(office_id=distributed.office_id)
    else:
        decision = decide(change, await list_active_agents(tx))
        await _store(change, decision)
    change.set(
        candidate_agents=[ranked.agent_id for ranked in decision.candidates],
        assignment_policy=change.pack.assignment.name,
    )
    if decision.winner is None:
        change.tell("request.assignment_failed", reason=decision.reason)
    else:
        winner = decision.winner
        give_to(change, winner.id, winner.code, reason=decision.reason, office_id=change.row.get("office_id"))
        if (to := change.pack.assigned_state) is not None:
            said = {"assigned_agent_id": str(winner.id), "agent_code": winner.code, "reason": decision.reason}
            await move(change, to, said=said)
        await people.touch_agents(tx, [winner.id], at=change.at)
    return await change.apply(), decision


def check_open_to_assigning(change: Change) -> None:
    """Raises what the workflow has against giving the request to anybody, before anybody is looked for."""
    if (to := change.pack.assigned_state) is not None:
        check_move(change, to, said={"assigned_agent_id": "whoever is found"})
    elif is_ended(change.row["state_category"]):
        raise change.conflict("not_open")


def decide(change: Change, agents: list[Row]) -> Assignment:
    """Gives the rule's decision for a request among `agents` (rows of people.agents.list_active_agents)."""
    facts = [agent_facts(agent, change.row) for agent in agents]
    return assign(request_facts(change.row, change.pack), facts, change.pack.assignment, now=change.at)


def request_facts(row: Row, pack: Pack) -> RequestFacts:
    """Picks what of a request's row decides who may take it."""
    return RequestFacts(
        category=row["category"],
        required_skills=frozenset(pack.required_skills(row["category"], row["sub_category"])),
        zone_id=row["zone_id"],
        priority=row["priority"],
    )


def agent_facts(agent: Row, request: Row) -> AgentFacts:
    """Reads a row of people.agents.list_active_agents as the rule takes it, for a request at its place."""
    fence, lon, lat = agent["geo_fence"], request["lon"], request["lat"]
    return AgentFacts(
        id=agent["id"],
        code=agent["agent_code"],
        name=agent["name"],
        skills=frozenset(agent["skills"]),
        zone_ids=frozenset(agent["zone_ids"]),
        inside_geofence=bool(fence and lon is not None and shape(fence).covers(Point(lon, lat))),
        schedule=Schedule(
            timezone=agent["timezone"],
            shifts=tuple(shift_of(shift["day"], shift["start"], shift["end"]) for shift in agent["shifts"]),
            on_call=agent["on_call"],
        ),
        active=agent["active"],
        open_load=agent["open_load"],
        last_assigned_at=agent["last_assigned_at"],
    )


async def _as_assignment(change: Change, decision: Distribution) -> Assignment:
    """Puts a distribution's decision in the shape of an assignment among agents."""
    ids = [agent_id for agent_id, _, _ in decision.candidates] + [one.manager_id for one in decision.failures]
    agents = {row["id"]: row for row in await people.list_agents(change.tx, limit=None, ids=ids)}
    ranked = [
        Ranked(agent_id, agents[agent_id]["agent_code"], load, f"{name}, load {load}")
        for agent_id, name, load in decision.candidates
    ]
    return Assignment(
        winner=agent_facts(agents[decision.manager_id], change.row) if decision.manager_id else None,
        candidates=tuple(sorted(ranked, key=lambda one: one.agent_id != decision.manager_id)),
        failures=tuple(
            Failure(one.manager_id, agents[one.manager_id]["agent_code"], one.rule, f"lacks {one.lacks}")
            for one in decision.failures
        ),
        reason=decision.reason,
    )


async def _store(
    change: Change, decision: Assignment, *, office_id: UUID | None = None, steps: Sequence[dict[str, Any]] = ()
) -> None:
    kept = {
        "id": new_id(),
        "request_id": change.row["id"],
        "agent_id": decision.winner.id if decision.winner else None,
        "office_id": office_id,
        "reason": decision.reason,
        "candidates": candidates_json(decision),
        "failures": failures_json(decision),
        "steps": list(steps),
    }
    await queries.add_assignments(
        change.tx, [kept], policy=change.pack.assignment.name, at=change.at, by=change.actor.key
    )


def candidates_json(decision: Assignment) -> list[dict[str, Any]]:
    """Writes the eligible agents in order."""
    return [
        {
            "agent_id": str(ranked.agent_id),
            "agent_code": ranked.agent_code,
            "open_load": ranked.open_load,
            "detail": ranked.detail,
        }
        for ranked in decision.candidates
    ]


def failures_json(decision: Assignment) -> list[dict[str, Any]]:
    """Lists each other agent with the step it failed on."""
    return [
        {
            "agent_id": str(failure.agent_id),
            "agent_code": failure.agent_code,
            "step": failure.step,
            "detail": failure.detail,
        }
        for failure in decision.failures
    ]
