"""A request whose work had ended elsewhere: the columns and the trail of its way to closed. No I/O."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from civicpulse.base.db import Row
from civicpulse.packs.model import Pack
from civicpulse.requests import clock
from civicpulse.requests.store import Event
from civicpulse.rules.lifecycle import Standing, enter


def end_elsewhere(
    row: Mapping[str, Any], pack: Pack, ended_at: datetime | None, *, about: Mapping[str, Any]
) -> tuple[Row, list[Event]]:
    """Gives the columns and events of a request that was closed at `ended_at` (None: nobody knows when) in another system.

    It goes through resolved where the workflow has such a state. What the workflow asks of people is not asked of what
    has happened already. Whether the pack's states note it or not, that is when the work ended.
    """
    states, at, told = pack.workflow.states, ended_at or row["created_at"], list[Event]()
    columns: Row = {}
    standing, source = Standing(row["state_category"], None, None, (), row["milestones"]), states[row["status"]]
    for target in (states[name] for name in [*pack.states_of("resolved")[:1], pack.states_of("closed")[0]]):
        columns |= enter(standing, target, at)
        meta = {"from": source.name, "to": target.name, "from_category": source.category, "category": target.category}
        told.append(Event("request.transitioned", {**meta, "imported": True, **about}, at))
        standing, source = Standing(target.category, None, None, (), standing.milestones), target
    return columns | {"resolved_at": ended_at, "closed_at": ended_at}, told


def ended_clock(row: Mapping[str, Any], pack: Pack, ended_at: datetime | None) -> Row:
    """Gives the clock's columns of a request that is here and turns out to have been closed elsewhere at `ended_at`."""
    if ended_at is None:
        return clock.CLOSED_SOMETIME
    policy = clock.policy_from_json(row["sla"])
    calendar = pack.calendar_of(policy)
    return clock.history_columns(policy, calendar, started_at=row["created_at"], ended_at=ended_at, now=ended_at)
