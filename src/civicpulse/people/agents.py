"""Agents and teams: who works where, with which skills, when, and how much they have to do (R-ASG-04)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from civicpulse.accounts.callers import Caller
from civicpulse.accounts.roles import roles_of, unknown_role
from civicpulse.base import clock
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Invalid, NoSuchChoice, NotFound
from civicpulse.base.events import record
from civicpulse.base.ids import new_id
from civicpulse.base.paging import decode_cursor, encode_cursor, page
from civicpulse.packs.store import current_pack
from civicpulse.people import queries
from civicpulse.people.citizens import masked_phone
from civicpulse.people.schemas import AgentChange, AgentIn
from civicpulse.places.zones import UNZONED, zone_index
from civicpulse.rules.access import Permission
from civicpulse.rules.shifts import Schedule, is_on_shift, next_shift_start, shift_of

PERFORMANCE_WINDOW = timedelta(days=30)
SORT = "agent_code"


def schedule_of(row: Row) -> Schedule:
    """Reads the week of an agent's row, as the rules take it."""
    shifts = tuple(shift_of(entry["day"], entry["start"], entry["end"]) for entry in row["shifts"])
    return Schedule(row["timezone"], shifts, row["on_call"])


async def list_active_agents(tx: Tx) -> list[Row]:
    """Lists every active agent with all columns and `open_load` (open or waiting masters), by code, in one statement."""
    return await queries.list_agents(tx, limit=None, active=True)


def agent_document(row: Row, *, caller: Caller) -> dict[str, Any]:
    """Writes an agent as `caller` may see them, with their post in an office where they have one; the phone is masked for other
    agents."""
    phone = row["contacts"].get("phone")
    post = {name: row[name] for name in ("office_id", "position", "base_load") if row[name]}
    is_self = not caller.is_citizen and caller.actor_id == row["id"]
    if phone and not is_self and not caller.may(Permission.CITIZEN_CONTACT):
        phone = masked_phone(phone)
    return plain_document(row) | {"contacts": {"phone": phone}} | post


def plain_document(row: Row) -> dict[str, Any]:
    """Writes an agent's document (R-ASG-04), nothing masked."""
    return {
        "_id": row["id"],
        "agent_code": row["agent_code"],
        "name": row["name"],
        "department": row["department"],
        "skills": row["skills"],
        "coverage": {"zone_ids": row["zone_ids"], "geo_fence": row["geo_fence"]},
        "schedule": {"timezone": row["timezone"], "shifts": row["shifts"], "on_call": row["on_call"]},
        "contacts": row["contacts"],
        "roles": row["roles"],
        "active": row["active"],
        "created_at": row["created_at"],
    }


def _columns(sent: dict[str, Any]) -> dict[str, Any]:
    """Puts the document's fields that were sent under the names of their columns."""
    flat = dict(sent)
    for part in ("coverage", "schedule"):
        flat |= flat.pop(part, {})
    return flat


async def create(caller: Caller, wanted: AgentIn) -> dict[str, Any]:
    """Makes an agent; Conflict (agent_code_in_use) when the code is taken."""
    now = clock.now()
    row = _columns(wanted.model_dump(mode="json")) | {"id": new_id(), "created_at": now, "office_id": wanted.office_id}
    row["roles"] = await _roles(caller.tx, wanted.roles)
    await _check_office(caller.tx, row)
    if not await queries.add_agent(caller.tx, row):
        raise Conflict(f"There is an agent with the code {wanted.agent_code!r} already.", code="agent_code_in_use")
    meta = {"agent_code": wanted.agent_code, "skills": wanted.skills, "zone_ids": wanted.coverage.zone_ids}
    await _record(caller, row["id"], type="agent.created", meta=meta)
    return agent_document(row, caller=caller)


async def change(caller: Caller, key: str, wanted: AgentChange) -> dict[str, Any]:
    """Changes the fields that were sent; `key` is an id or an agent_code."""
    found = await _find(caller.tx, key)
    row = await queries.lock_agent(caller.tx, found["id"]) or found
    changed = row | _columns(wanted.model_dump(mode="json", exclude_unset=True))
    if "office_id" in wanted.model_fields_set:
        changed["office_id"] = wanted.office_id
    if "roles" in wanted.model_fields_set:
        changed["roles"] = await _roles(caller.tx, wanted.roles)
    await _check_office(caller.tx, changed)
    fields = sorted(name for name in changed if changed[name] != row[name])
    if fields:
        await queries.change_agent(caller.tx, changed | {"updated_at": clock.now()})
        await _record(caller, row["id"], type="agent.changed", meta={"agent_code": row["agent_code"], "fields": fields})
    return agent_document(changed, caller=caller)


async def read(caller: Caller, key: str) -> dict[str, Any]:
    """Reads the agent, their open work, and how the last 30 days went."""
    row, now = await _find(caller.tx, key), clock.now()
    figures: dict[str, Any] = {"workload": None, "performance": None}
    if caller.scope == "all" or caller.actor_id == row["id"]:
        figures = await _work(caller.tx, row["id"], now)
    schedule = schedule_of(row)
    standing = {"on_shift_now": is_on_shift(schedule, now), "next_shift_start": next_shift_start(schedule, now)}
    return agent_document(row, caller=caller) | figures | standing


async def _work(tx: Tx, agent_id: UUID, now: datetime) -> dict[str, Any]:
    """Counts an agent's open work and what the last 30 days brought, over all their requests."""
    pack = await current_pack(tx)
    work = await queries.agent_work(
        tx,
        agent_id,
        assigned=pack.stages("assigned_at"),
        in_progress=pack.stages("in_progress_at"),
        since=now - PERFORMANCE_WINDOW,
        until=now,
    )
    return {
        "workload": {
            "open": work["open"],
            "assigned": work["assigned"],
            "in_progress": work["in_progress"],
            "by_priority": {priority.upper(): work[priority] for priority in ("p1", "p2", "p3", "p4")},
        },
        "performance": {
            "resolved_30d": work["resolved"],
            "avg_resolution_minutes": _rounded(work["resolution_minutes"]),
            "sla_met_pct": _rounded(work["sla_met_pct"]),
            "avg_rating": _rounded(work["rating"]),
            "escalations": work["escalations"],
        },
    }


async def list_page(
    caller: Caller, *, limit: int, cursor: str | None, on_shift: bool | None, **filters: Any
) -> dict[str, Any]:
    """Lists a page of agents by agent_code; `filters`: skill, zone, active. At most three statements, whatever the number.

    Who is on shift is for the rules to say, so the ids of those who are come first and the page is cut from them.
    Raises NoSuchChoice for a skill or zone that nobody has.
    """
    now = clock.now()
    skill, zone = filters.get("skill"), filters.get("zone")
    if skill or zone:
        await _check_known(caller.tx, skill=skill, zone=zone)
    if on_shift is not None:
        everyone = await queries.list_agents(caller.tx, limit=None, **filters)
        filters["ids"] = [row["id"] for row in everyone if is_on_shift(schedule_of(row), now) is on_shift]
    after = decode_cursor(cursor, SORT, [str])[0] if cursor else None
    rows = await queries.list_agents(caller.tx, limit=limit + 1, after=after, **filters)
    items = [
        agent_document(row, caller=caller)
        | {"open_load": row["open_load"], "on_shift_now": is_on_shift(schedule_of(row), now)}
        for row in rows[:limit]
    ]
    return page(items, encode_cursor(SORT, [items[-1]["agent_code"]]) if len(rows) > limit else None)


async def _check_known(tx: Tx, *, skill: str | None, zone: str | None) -> None:
    """Raises NoSuchChoice for a skill that neither the pack nor an agent has, and for a zone that is none and nobody's."""
    pack = await current_pack(tx)
    skills = dict.fromkeys(
        skill
        for category in pack.categories.values()
        for skill in (*category.skills, *(skill for sub in category.sub_categories for skill in sub.skills or ()))
    )
    zones = (UNZONED, *(await zone_index(tx)).codes) if zone else ()
    if (skill and skill not in skills) or (zone and zone not in zones):
        known = await queries.agents_words(tx)
        for name, given, choices in (
            ("skill", skill, dict.fromkeys((*skills, *known["skills"]))),
            ("zone", zone, dict.fromkeys((*zones, *known["zones"]))),
        ):
            if given and given not in choices:
                raise NoSuchChoice(name, [given], list(choices))


async def _find(tx: Tx, key: str) -> Row:
    try:
        agent_id = UUID(key)
    except ValueError:
        agent_id = None
    row = await queries.find_agent(tx, agent_id=agent_id, code=key)
    if row is None:
        raise NotFound(f"There is no agent {key!r}: GET /agents lists them.")
    return row


async def exists(tx: Tx, key: str) -> None:
    """Raises NotFound unless an agent has this id or agent_code."""
    await _find(tx, key)


async def _roles(tx: Tx, wanted: Sequence[str]) -> list[str]:
    """Gives the roles of an agent; without any, the one that the pack gives agents. Raises Invalid for one it does not have."""
    roles = await roles_of(tx)
    for name in wanted:
        if name not in roles.of_agents:
            raise unknown_role(name, roles.of_agents, field="roles")
    return list(wanted) or [roles.agent]


async def _check_office(tx: Tx, row: Row) -> None:
    """Checks the office: name and office are the natural key of an agent who belongs to one (R-CSV-02)."""
    if row["office_id"] is None:
        return
    if not await queries.is_office(tx, row["office_id"]):
        raise Invalid("There is no office with this id: GET /business-units lists them.", field="office_id")
    if (code := await queries.find_namesake(tx, row)) is not None:
        raise Conflict(f"{code} has this name in this office already.", code="name_in_office_in_use")


async def _record(caller: Caller, agent_id: UUID, *, type: str, meta: dict[str, Any]) -> None:
    at = clock.now()
    await record(
        caller.tx, caller.actor, subject_id=agent_id, subject_type="agent", seq=None, type=type, at=at, meta=meta
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
