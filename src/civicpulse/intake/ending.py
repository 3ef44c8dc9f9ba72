"""A request whose work had ended elsewhere: the columns and the trail of its way to closed. No I/O."""

from collections.abc import Mapping
from typing import Any

from civicpulse.base.db import Row
from civicpulse.intake.incoming import End
from civicpulse.packs.model import Pack
from civicpulse.requests import clock
from civicpulse.requests.store import Event
from civicpulse.rules.lifecycle import Standing, enter


def end_elsewhere(row: Mapping[str, Any], pack: Pack, end: End, *, about: Mapping[str, Any]) -> tuple[Row, list[Event]]:
    """Gives the columns and events of a request that was closed in another system.

    It goes through resolved where it was resolved and the workflow has such a state. What the workflow asks of people is not asked of what
    has happened already. Whether the pack's states note it or not, that is when the work ended.
    """
    states, at, told = pack.workflow.states, end.at or row["created_at"], list[Event]()
    way = [*pack.states_of("resolved")[: int(end.was_resolved)], pack.states_of("closed")[0]]
    columns: Row = {}
    standing, source = Standing(row["state_category"], None, None, (), row["milestones"]), states[row["status"]]
    for target in map(states.__getitem__, way):
        columns |= enter(standing, target, at)
        meta = {"from": source.name, "to": target.name, "from_category": source.category, "category": target.category}
        told.append(Event("request.transitioned", {**meta, "imported": True, **about}, at))
        standing, source = Standing(target.category, None, None, (), standing.milestones), target
    return columns | {"resolved_at": end.at if end.was_resolved else None, "closed_at": end.at}, told


def ended_clock(row: Mapping[str, Any], pack: Pack, end: End) -> Row:
    """Gives the clock's columns of a request that is here and turns out to have been closed elsewhere."""
    if end.at is None or not end.was_resolved:
        return clock.CLOSED_SOMETIME
    policy = clock.policy_from_json(row["sla"])
    calendar = pack.calendar_of(policy)
    return clock.history_columns(policy, calendar, started_at=row["created_at"], ended_at=end.at, now=end.at)
