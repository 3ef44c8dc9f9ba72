"""The engine's jobs with the filled tables: SLA metrics of what was resolved lately, and the scores of every zone."""

import asyncio
import time
from uuid import UUID

from bench.session import Session, middle
from bench.table import Figure, Goal
from civicpulse.base.services import open_services
from civicpulse.insight.jobs import measure_tenant
from civicpulse.insight.scores.scores import compute_scores

IDLE_GOAL_MS = 10
MEASURE_GOAL_S = 5
SCORES_GOAL_S = 2
RESOLVED = 10_000

# The filled city is two years of history that nobody has measured; the question is what a running city costs.
FORGET = "DELETE FROM sla_unmeasured WHERE tenant_id = %s"

RESOLVE = """
UPDATE requests r SET status = 'resolved', state_category = 'resolved', resolved_at = now(), sla_state = 'completed',
    sla_met = now() <= r.sla_due_at, next_sla_at = NULL, updated_at = now()
FROM (
    SELECT tenant_id, id FROM requests
    WHERE tenant_id = %s AND state_category = 'open' AND master_id IS NULL ORDER BY md5(id::text) LIMIT %s
) AS chosen
WHERE r.tenant_id = chosen.tenant_id AND r.id = chosen.id
"""


def scores(session: Session) -> None:
    """SLA metrics with nothing new and with 10,000 newly resolved; then every score of the city, several times."""
    tenant_id = session.filled().tenant.tenant_id
    with session.server.owner() as owner:
        owner.execute(FORGET, [tenant_id])
        owner.execute("VACUUM sla_unmeasured")
    idle = asyncio.run(_measured(session, 20))
    note = f"worst {max(seconds for seconds, _ in idle) * 1000:.1f} ms"
    milliseconds = middle([seconds for seconds, _ in idle]) * 1000
    session.add(Figure("scores", "SLA metrics, nothing new", milliseconds, "ms", Goal(IDLE_GOAL_MS), note=note))
    rounds = [_resolved_round(session, tenant_id) for _ in range(1 if session.quick else 3)]
    seconds, count = middle([seconds for seconds, _ in rounds]), rounds[-1][1]
    what, goal = f"SLA metrics, {RESOLVED:,} newly resolved", Goal(MEASURE_GOAL_S)
    failed = any(measured == 0 for _, measured in rounds)
    session.add(Figure("scores", what, seconds, "s", goal, note=f"{count:,} measured", failed=failed))
    computed = asyncio.run(_computed(session, 3 if session.quick else 7))
    worst = max(seconds for seconds, _ in computed)
    seconds, written = middle([seconds for seconds, _ in computed]), computed[-1][1]
    note = f"{written} scores over {session.rows:,} requests, worst {worst:.2f} s"
    goal = Goal(SCORES_GOAL_S)
    session.add(Figure("scores", "all scores of the city", seconds, "s", goal, note=note, failed=written == 0))


def _resolved_round(session: Session, tenant_id: UUID) -> tuple[float, int]:
    with session.server.owner() as owner:
        owner.execute(RESOLVE, [tenant_id, RESOLVED])
    return asyncio.run(_measured(session, 1))[0]


async def _measured(session: Session, count: int) -> list[tuple[float, int]]:
    done = []
    tenant = session.filled().tenant
    async with open_services(session.server.settings) as services:
        for _ in range(count):
            began = time.perf_counter()
            measured = await measure_tenant(services, tenant)
            done.append((time.perf_counter() - began, measured))
    return done


async def _computed(session: Session, count: int) -> list[tuple[float, int]]:
    done = []
    tenant = session.filled().tenant
    async with open_services(session.server.settings) as services:
        for _ in range(count):
            began = time.perf_counter()
            async with services.db.transaction(tenant) as tx:
                written = await compute_scores(tx)
            done.append((time.perf_counter() - began, written))
    return done
