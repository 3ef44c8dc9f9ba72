"""What operators see of queues, processes and the pool: read when somebody asks for figures, over all tenants, none by name."""

from datetime import datetime
from typing import Final

from prometheus_client import Gauge

from civicpulse.base import clock
from civicpulse.base.db import Database

COUNTED: Final = 10_000
"""Rows of a queue that are counted at the most: beyond, the depth says no more, and the age of the oldest does."""

QUEUES: Final = "SELECT queue, depth, oldest, parked FROM gate_queues(%(now)s, %(most)s)"

PROCESSES: Final = """
SELECT k.kind, count(p.id) FILTER (WHERE p.beat_at > %(now)s - interval '1 minute'), max(p.beat_at)
FROM (VALUES ('api'), ('worker')) AS k (kind) LEFT JOIN processes p ON p.kind = k.kind GROUP BY k.kind
"""

DEPTH: Final = Gauge("civicpulse_queue_depth", "Rows due now, 10,000 at the most; of a timer its tenants", ["queue"])
OLDEST: Final = Gauge("civicpulse_queue_oldest_seconds", "How long the first of a queue has been due", ["queue"])
PARKED: Final = Gauge("civicpulse_queue_parked", "Rows that were given up, 10,000 at the most", ["queue"])
LIVING: Final = Gauge("civicpulse_processes", "Processes that have said within a minute that they live", ["kind"])
BEAT: Final = Gauge("civicpulse_heartbeat_age_seconds", "Age of the last heartbeat of any process of a kind", ["kind"])
POOL: Final = Gauge("civicpulse_database_pool", "Connections of this process, and calls that wait for one", ["state"])


def measure_pool(db: Database) -> None:
    """Reads the pool's own counts."""
    for state, value in db.usage().items():
        POOL.labels(state).set(value)


async def measure_queues(db: Database) -> None:
    """Reads depth, age and what was given up of every queue."""
    now = clock.wall()
    async with db.gate() as conn:
        rows = await (await conn.execute(QUEUES, {"now": now, "most": COUNTED})).fetchall()
    for gauge in (DEPTH, OLDEST, PARKED):
        gauge.clear()  # a queue that only the directory knows is not named while nothing of it is due
    for queue, depth, oldest, parked in rows:
        DEPTH.labels(queue).set(depth)
        OLDEST.labels(queue).set(_age(oldest, now))
        PARKED.labels(queue).set(parked)


async def measure_processes(db: Database) -> None:
    """Reads which processes live."""
    now = clock.wall()
    async with db.gate() as conn:
        rows = await (await conn.execute(PROCESSES, {"now": now})).fetchall()
    BEAT.clear()  # of a kind that has never run there is no age
    for kind, living, beat_at in rows:
        LIVING.labels(kind).set(living)
        if beat_at is not None:
            BEAT.labels(kind).set(_age(beat_at, now))


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0
