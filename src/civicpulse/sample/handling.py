"""Lives a request through the steps that a description lists, with the product's own actions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from civicpulse.base import clock
from civicpulse.base.db import Row
from civicpulse.base.events import Actor
from civicpulse.requests import actions
from civicpulse.requests.assignment.assigning import auto_assign
from civicpulse.sample.engine import Life
from civicpulse.sample.loader import Handling, Step
from civicpulse.sample.staff import acting
from civicpulse.sample.world import World

ASSIGNMENT_TRIES = 4


@dataclass(slots=True)
class _Task:
    """A request in somebody's hands; `factor` says how much longer than others it takes."""

    row: Row
    spread: float
    factor: float
    worker: Actor | None
    is_over: bool = False


async def handling_life(world: World, handling: Handling, row: Row) -> Life:
    """Takes a request through the steps in their order, until one is the last or nobody is found to work on it."""
    agent = row["assigned_agent_id"]
    factor = handling.slow_factor if world.chance(handling.slow) else 1.0
    task = _Task(row, handling.spread, factor, acting(world.pack, "agent", agent) if agent else None)
    for step in handling.steps:
        if not task.is_over and step.category in (None, row["category"]) and world.chance(step.share):
            async for at in _step_life(world, step, task):
                yield at


async def _step_life(world: World, step: Step, task: _Task) -> Life:
    yield _when(world, step, task)
    if step.assign_again_minutes is not None:
        async for at in _assignment_life(world, step, task):
            yield at
        return
    who = task.worker if step.by == "worker" else world.staff.by_code[step.by].actor
    assert who is not None, "who works has been assigned"
    await actions.transition(world.tx, who, task.row["number"], to=step.to, fields=dict(step.fields))
    task.is_over = step.last
    for following in step.then:
        async for at in _step_life(world, following, task):
            yield at


def _when(world: World, step: Step, task: _Task) -> datetime:
    median = step.minutes[task.row["priority"]] if isinstance(step.minutes, Mapping) else step.minutes
    if step.unclear_minutes is not None and task.row["needs_person"]:
        median = step.unclear_minutes
    elif step.by == "worker":
        median *= task.factor
    return clock.now() + timedelta(minutes=step.at_least + median * world.rng.lognormvariate(0, task.spread))


async def _assignment_life(world: World, step: Step, task: _Task) -> Life:
    """Assigns a request by the pack's policy; with nobody there again later, and in the end not at all."""
    assert step.assign_again_minutes is not None, "the step is the assignment"
    for _ in range(ASSIGNMENT_TRIES):
        by = world.staff.by_code[step.by].actor
        task.row, decision = await auto_assign(world.tx, by, task.row["number"])
        if decision.winner is not None:
            task.worker = acting(world.pack, "agent", decision.winner.id)
            return
        yield world.after(*step.assign_again_minutes)
    task.is_over = True
