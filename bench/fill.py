"""Fills a city with requests of two years, a fifth of them open, through the product's own triggers.

Written by the owner in SQL, with the secondary indexes of `requests` dropped meanwhile and made again afterwards, as
one would load a large table. Afterwards everything holds: event hashes, the KPI ledger, the number sequence.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import psycopg
from psycopg import sql
from rich.console import Console

from bench.reports import a_place, zone_at
from bench.server import BenchError, City, Server
from civicpulse.base.ids import new_id
from civicpulse.base.services import open_services
from civicpulse.insight.actions import fold_kpis
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import compile_pack
from civicpulse.places.cells import cell_of
from civicpulse.requests.clock import policy_to_json
from civicpulse.rules.priority import score_of_priority
from civicpulse.rules.sla import choose_policy

DAYS = 730
AGENTS = 200
CHUNK = 33_000  # a multiple of 33: every 33rd request is a duplicate of the one before it, which must be in its chunk
WRITERS = 2
FOLD_AT_ONCE = 200_000

PREPARE = """
CREATE UNLOGGED TABLE bench_places (n int PRIMARY KEY, lon float8, lat float8, cell bigint, zone_id text);
CREATE UNLOGGED TABLE bench_kinds (n int PRIMARY KEY, category text, priority text, score int, sla jsonb, target_hours float8,
    is_public boolean, words text);
CREATE FUNCTION bench_at(g bigint, n bigint, now timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE RETURN
    now - interval '1 day' * ({days} * (1 - g::float8 / n));
CREATE FUNCTION bench_open(g bigint, n bigint) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN
    g * 7919 % 1000 < CASE WHEN g > n * 0.9 THEN 600 ELSE 156 END;
CREATE FUNCTION bench_id(g bigint, at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN
    (lpad(to_hex((date_part('epoch', at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(g & 4095), 3, '0')
     || 'a' || lpad(to_hex(g), 15, '0'))::uuid;
"""
CLEAN_UP = """
DROP FUNCTION bench_at, bench_open, bench_id;
DROP TABLE bench_places, bench_kinds;
"""

WRITE = """
INSERT INTO requests (tenant_id, id, number, version, event_seq, pack_version, is_public, category, description, tags, status,
    state_category, priority, priority_score, lon, lat, cell, address_hint, address_key, zone_id, master_id, assigned_agent_id, sla,
    sla_state, sla_due_at, sla_met, next_sla_at, rating, created_at, triaged_at, assigned_at, in_progress_at, resolved_at, closed_at,
    updated_at)
SELECT %(tenant_id)s, bench_id(g, at), 'CST-' || date_part('year', at) || '-' || lpad(g::text, 6, '0'), 2, CASE WHEN is_open THEN 1 ELSE 2 END,
    1, is_public, category, words || ' Near ' || (g * 31 %% 9973) || ' Street ' || (g * 17 %% 997) || '. Reference r' || g || '.',
    ARRAY['app'], status, CASE WHEN is_open THEN 'open' WHEN status = 'resolved' THEN 'resolved' ELSE 'closed' END, priority, score,
    lon, lat, cell, (g * 31 %% 9973) || ' Street ' || (g * 17 %% 997), (g * 31 %% 9973) || ' st ' || (g * 17 %% 997), zone_id,
    CASE WHEN is_duplicate THEN bench_id(g - 1, bench_at(g - 1, %(rows)s, %(now)s)) END,
    CASE WHEN status NOT IN ('new', 'triaged') THEN (%(agents)s::uuid[])[1 + floor(luck * cardinality(%(agents)s::uuid[]))::int] END, sla,
    CASE WHEN NOT is_open THEN 'completed' WHEN luck < 0.6 THEN 'on_time' WHEN luck < 0.75 THEN 'at_risk'
         WHEN luck < 0.9 THEN 'overdue' ELSE 'breached' END,
    at + interval '1 hour' * target_hours, CASE WHEN NOT is_open THEN took <= target_hours END,
    CASE WHEN is_open THEN %(now)s + interval '1 hour' * (1 + speed * 240) END,
    CASE WHEN NOT is_open AND speed < 0.2 THEN 1 + floor(luck * 5)::int END, at,
    CASE WHEN status <> 'new' THEN least(at + interval '1 hour' * took * 0.1, %(now)s) END,
    CASE WHEN status NOT IN ('new', 'triaged') THEN least(at + interval '1 hour' * took * 0.2, %(now)s) END,
    CASE WHEN status NOT IN ('new', 'triaged', 'assigned') THEN least(at + interval '1 hour' * took * 0.4, %(now)s) END,
    done_at, CASE WHEN status = 'closed' THEN least(done_at + interval '1 day', %(now)s) END, coalesce(done_at, at)
FROM (
    SELECT x.*, k.category, k.priority, k.score, k.sla, k.target_hours, k.is_public, k.words, p.lon, p.lat, p.cell, p.zone_id,
           (k.target_hours * (0.05 + speed * speed * 2.2)) AS took,
           CASE WHEN is_open THEN (ARRAY['new', 'new', 'triaged', 'assigned', 'in_progress'])[1 + floor(luck * 5)::int]
                WHEN luck < 0.08 THEN 'resolved' ELSE 'closed' END AS status,
           CASE WHEN NOT is_open THEN least(at + interval '1 hour' * k.target_hours * (0.05 + speed * speed * 2.2), %(now)s) END AS done_at
    FROM (
        SELECT g, bench_at(g, %(rows)s, %(now)s) AS at, g %% 33 = 0 AND NOT bench_open(g - 1, %(rows)s) AS is_duplicate,
               bench_open(g, %(rows)s) AND NOT (g %% 33 = 0 AND NOT bench_open(g - 1, %(rows)s)) AS is_open,
               random() AS luck, random() AS speed,
               1 + floor(random() * %(kinds)s)::int AS kind, 1 + floor(random() * %(places)s)::int AS place
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS g
    ) AS x JOIN bench_kinds k ON k.n = x.kind JOIN bench_places p ON p.n = x.place
) AS y
"""

TELL = """
WITH chunk AS (
    SELECT r.id, r.created_at, r.resolved_at, r.category, r.priority, r.zone_id, r.status FROM requests r
    WHERE r.tenant_id = %(tenant_id)s
      AND r.id >= bench_id(0, bench_at(%(first)s, %(rows)s, %(now)s)) AND r.id <= bench_id(%(last)s, bench_at(%(last)s, %(rows)s, %(now)s))
)
INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, at, meta)
SELECT %(tenant_id)s, c.id, e.seq, e.type, 'dispatcher', e.at, e.meta
FROM chunk c CROSS JOIN LATERAL (
    SELECT 1 AS seq, 'request.opened' AS type, c.created_at AS at,
           jsonb_build_object('category', c.category, 'priority', c.priority, 'zone_id', c.zone_id, 'source', 'api', 'status', 'new') AS meta
    UNION ALL
    SELECT 2, 'status', c.resolved_at, jsonb_build_object('from', 'in_progress', 'to', c.status) WHERE c.resolved_at IS NOT NULL
) AS e
ORDER BY c.id, e.seq
"""

LINK = """
INSERT INTO duplicate_links (tenant_id, id, duplicate_id, master_id, origin, prior, merged_at, merged_by)
SELECT tenant_id, gen_random_uuid(), id, master_id, 'intake', '{"status": "new"}', created_at, 'system:civicpulse'
FROM requests WHERE tenant_id = %(tenant_id)s AND master_id IS NOT NULL
"""

SECONDARY_INDEXES = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = 'requests'::regclass AND NOT i.indisprimary ORDER BY pg_get_indexdef(i.indexrelid)
"""

ADD_AGENT = """
INSERT INTO agents (tenant_id, id, agent_code, name, skills, zone_ids, timezone, created_at, updated_at)
VALUES (%s, %s, %s, %s, '{}', %s, 'America/New_York', now(), now())
"""

LEDGER_CHECK = """
SELECT (SELECT sum(masters) FROM kpi_cells WHERE tenant_id = %(tenant_id)s AND dims = 0 AND is_month),
       (SELECT count(*) FROM requests WHERE tenant_id = %(tenant_id)s AND master_id IS NULL)
"""


def fill(server: Server, city: City, rows: int, *, say: Console) -> None:
    """Writes `rows` requests with their events into the city. Raises BenchError when the ledger does not add up."""
    tenant_id = city.tenant.tenant_id
    with server.owner() as owner:
        (now,) = owner.execute("SELECT now()").fetchone() or (None,)
        owner.execute(PREPARE.format(days=DAYS).encode())
        places, kinds = _copy_places(owner, max(1000, rows // 5)), _copy_kinds(owner)
        values = {"tenant_id": tenant_id, "rows": rows, "now": now, "places": places, "kinds": kinds}
        values["agents"] = _add_agents(owner, city)
        indexes = owner.execute(SECONDARY_INDEXES).fetchall()
        for name, _ in indexes:
            owner.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        chunks = [
            values | {"first": first, "last": min(first + CHUNK - 1, rows)} for first in range(1, rows + 1, CHUNK)
        ]
        _timed(say, f"{rows:,} requests", lambda: _at_once(server, [(_write_chunk, chunk) for chunk in chunks]))
        _timed(say, "indexes", lambda: _at_once(server, [(_make_index, definition) for _, definition in indexes]))
        owner.execute(LINK, values)
        owner.execute("SELECT setval(%s::regclass, %s)", [f"request_number_{tenant_id.hex}", rows])
        owner.execute(CLEAN_UP)
    _timed(say, "KPI ledger", lambda: asyncio.run(_fold(server, city)))
    with server.owner() as owner:
        _timed(say, "vacuum", lambda: owner.execute("VACUUM (ANALYZE)"))
        counted, there = owner.execute(LEDGER_CHECK, values).fetchone() or (0, 0)
        if counted != there:
            raise BenchError(f"the KPI ledger counts {counted} requests, the table holds {there}")


def _timed(say: Console, what: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    say.print(f"  fill: {what} in {time.perf_counter() - began:.0f} s")


def _at_once(server: Server, tasks: Sequence[tuple[Callable[[psycopg.Connection[Any], Any], None], Any]]) -> None:
    """Runs the tasks on WRITERS connections, which need not be durable: what they write is thrown away."""

    def work(share: Iterator[tuple[Callable[[psycopg.Connection[Any], Any], None], Any]]) -> None:
        with server.owner() as owner:
            owner.execute("SET synchronous_commit = off; SET maintenance_work_mem = '512MB'; SET jit = off")
            for task, value in share:
                task(owner, value)

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(work, iter(tasks[start::WRITERS])) for start in range(WRITERS)]:
            done.result()


def _write_chunk(owner: psycopg.Connection[Any], values: dict[str, Any]) -> None:
    with owner.transaction():
        owner.execute(WRITE, values)
        owner.execute(TELL, values)


def _make_index(owner: psycopg.Connection[Any], definition: str) -> None:
    owner.execute(definition.encode())


def _copy_places(owner: psycopg.Connection[Any], count: int) -> int:
    rng = random.Random(7)
    with owner.cursor() as cursor, cursor.copy("COPY bench_places FROM STDIN") as copy:
        for number in range(1, count + 1):
            lon, lat = a_place(rng)
            copy.write_row((number, lon, lat, cell_of(lon, lat), zone_at(lon, lat)))
    return count


def _copy_kinds(owner: psycopg.Connection[Any]) -> int:
    """Categories with their priorities, the usual one most often, each with its policy."""
    pack, number = compile_pack(read_pack("civic")), 0
    with owner.cursor() as cursor, cursor.copy("COPY bench_kinds FROM STDIN") as copy:
        for category in pack.categories.values():
            words = " ".join(category.examples)
            for priority in [category.default_priority] * 16 + ["P1", "P2", "P3", "P4"]:
                policy = choose_policy(pack.sla_rules, category=category.id, zone=None, priority=priority)
                assert policy is not None
                number += 1
                sla = orjson.dumps(policy_to_json(policy)).decode()
                score = score_of_priority(priority)
                row = (number, category.id, priority, score, sla, policy.target_hours, category.public, words)
                copy.write_row(row)
    return number


def _add_agents(owner: psycopg.Connection[Any], city: City) -> list[Any]:
    ids = [new_id() for _ in range(AGENTS)]
    for number, agent_id in enumerate(ids):
        code = f"AG-{number:03}"
        owner.execute(ADD_AGENT, [city.tenant.tenant_id, agent_id, code, code, [f"Z-{number % 20:02}"]])
    return ids


async def _fold(server: Server, city: City) -> None:
    async with open_services(server.settings) as services:
        more = True
        while more:
            async with services.db.transaction(city.tenant) as tx:
                more = await fold_kpis(tx, limit=FOLD_AT_ONCE) > 0
