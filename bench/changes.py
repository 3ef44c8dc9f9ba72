"""Writes with the filled tables: transitions, and the SLA sweep."""

import asyncio
import time
from typing import Any
from uuid import UUID

import orjson
import psycopg

from bench.load import http_request, run_load
from bench.session import Session, middle
from bench.table import Figure, Goal
from civicpulse.base.services import open_services
from civicpulse.base.turns import work_off
from civicpulse.requests.jobs import CLOCKS, clocks_line

IDLE_GOAL_MS = 10
DUE_GOAL_S = 5
DUE = 10_000

SOME_NEW = """
SELECT number FROM requests WHERE tenant_id = %s AND status = 'new' AND master_id IS NULL
ORDER BY md5(id::text) LIMIT %s
"""

# Sixty hours into a clock of 72: at risk since a while, and the first step of the ladder is due.
MAKE_DUE = """
UPDATE requests r SET next_sla_at = now() - interval '1 minute', created_at = now() - interval '61 hours', sla_state = 'on_time',
    status = 'new', sla_steps_fired = 0
FROM (
    SELECT tenant_id, id FROM requests
    WHERE tenant_id = %s AND state_category = 'open' AND sla_steps_fired = 0 AND sla ->> 'calendar' = '24x7'
      AND (sla ->> 'target_hours')::float8 = 72
    ORDER BY id LIMIT %s
) AS chosen
WHERE r.tenant_id = chosen.tenant_id AND r.id = chosen.id
"""

MARK_DUE = "INSERT INTO due (tenant_id, queue, due_at) VALUES (%s, %s, now() - interval '1 second')"


def transition(session: Session) -> None:
    """PATCH /requests/{id}/transition, new to triaged, each request once."""
    city, server = session.filled(), session.server
    alone, together = (100, 400) if session.quick else (500, 3000)
    with server.owner() as owner:
        found = owner.execute(SOME_NEW, [city.tenant.tenant_id, alone + together]).fetchall()
    body = orjson.dumps({"to": "triaged"})
    requests = [
        http_request("PATCH", f"/requests/{number}/transition", headers=city.headers, body=body) for (number,) in found
    ]
    session.add_latency("transition", "new to triaged", run_load(server.port, requests[:alone], connections=1))
    load = run_load(server.port, requests[alone:], connections=16)
    failed = bool(load.failures)
    session.add(Figure("transition", "16 connections", load.per_second, "/s", note=load.tail, failed=failed))


def sweep_clocks(session: Session) -> None:
    """The sweep that the worker runs every minute: with nothing due, then with 10,000 clocks due."""
    tenant_id = session.filled().tenant.tenant_id
    with session.server.owner() as owner:
        # Clocks that came due since the tables were filled are not part of the question.
        owner.execute("UPDATE requests SET next_sla_at = next_sla_at + interval '1 day' WHERE next_sla_at < now()")
        _clear_marks(owner)
    idle = [seconds for seconds, _ in asyncio.run(_looks(session, 50))]
    goal = Goal(IDLE_GOAL_MS)
    session.add(
        Figure("sweep", "nothing due", middle(idle) * 1000, "ms", goal, note=f"worst {max(idle) * 1000:.1f} ms")
    )
    rounds = [_due_round(session, tenant_id) for _ in range(1 if session.quick else 3)]
    swept = rounds[-1][1]
    seconds = middle([seconds for seconds, _ in rounds])
    note = f"{swept:,} requests, each with a step and a change of state"
    session.add(Figure("sweep", f"{DUE:,} due", seconds, "s", Goal(DUE_GOAL_S), note=note, failed=swept == 0))


def _due_round(session: Session, tenant_id: UUID) -> tuple[float, int]:
    with session.server.owner() as owner:
        owner.execute(MAKE_DUE, [tenant_id, DUE])
        owner.execute(MARK_DUE, [tenant_id, CLOCKS.name])
    return asyncio.run(_looks(session, 1))[0]


def _clear_marks(owner: psycopg.Connection[Any]) -> None:
    """Leaves no mark of a clock: those that requests brought as they came in were never looked at, as no worker runs."""
    owner.execute("DELETE FROM due WHERE queue = %s", [CLOCKS.name])


async def _looks(session: Session, count: int) -> list[tuple[float, int]]:
    """What the worker does: it looks in the directory of what is due, and sweeps where it says so. Seconds and requests of each look."""
    done = []
    async with open_services(session.server.settings) as services:
        await services.tenants.refresh()
        line = clocks_line(services)
        for _ in range(count):
            began = time.perf_counter()
            taken = await work_off(services.db, services.tenants, line)
            done.append((time.perf_counter() - began, taken))
    return done
