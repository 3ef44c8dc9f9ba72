"""The audit trail: a million events chained, signed and verified, with the rows that they vouch for."""

import asyncio
import resource
import time
from pathlib import Path

from bench.server import City
from bench.session import Session
from bench.table import Figure, Goal
from civicpulse.audit.chain import chain_line
from civicpulse.audit.jobs import Notary
from civicpulse.audit.keys import Keyring
from civicpulse.audit.verify import Findings, Verifier
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.services import Services, open_services

EVENTS_EACH = 4
AT_ONCE = 1_000
VERIFY_GOAL_S = 60

WRITE = """
INSERT INTO requests (tenant_id, id, number, event_seq, pack_version, category, description, status, state_category, priority,
    priority_score, created_at, updated_at, in_progress_at)
SELECT %(tenant)s, lpad(to_hex(g), 32, '0')::uuid, 'AUD-' || g, %(each)s, 1, 'pothole', 'Hole number ' || g, 'in_progress', 'open', 'P3', 5,
       %(at)s, %(at)s, %(at)s
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS g
"""

TELL = """
INSERT INTO events (tenant_id, subject_id, seq, type, actor_type, actor_id, at, meta, attests)
SELECT %(tenant)s, r.id, s, CASE WHEN s = 1 THEN 'request.opened' ELSE 'request.transitioned' END, 'dispatcher', r.id::text, %(at)s,
       jsonb_build_object('from', 'new', 'to', 'in_progress', 'category', 'pothole', 'zone_id', 'UNZONED', 'source', 'api'),
       CASE WHEN s = 1 THEN jsonb_build_object('number', r.number, 'category', r.category, 'priority', 'P3', 'priority_score', 5,
                'zone_id', r.zone_id, 'is_public', r.is_public, 'disputed', r.disputed, 'created_at', r.created_at,
                'status', 'new', 'state_category', 'open', 'description', encode(sha256(convert_to(r.description, 'UTF8')), 'hex'))
            ELSE jsonb_build_object('status', 'in_progress', 'in_progress_at', r.in_progress_at) END
FROM requests r CROSS JOIN generate_series(1, %(each)s) AS s
WHERE r.tenant_id = %(tenant)s AND r.id >= lpad(to_hex(%(first)s::bigint), 32, '0')::uuid
  AND r.id <= lpad(to_hex(%(last)s::bigint), 32, '0')::uuid
ORDER BY r.id, s
"""


def audit(session: Session) -> None:
    """Writes a trail in SQL, through the product's triggers; chains, signs and verifies it."""
    city = session.server.city("trail")
    events = min(1_000_000, session.rows)
    _write(session, city, events)
    asyncio.run(_measured(session, city, events))


def _write(session: Session, city: City, events: int) -> None:
    requests = events // EVENTS_EACH
    with session.server.owner() as owner:
        values = {"tenant": city.tenant.tenant_id, "each": EVENTS_EACH, "at": clock.now()}
        for first in range(1, requests + 1, AT_ONCE):
            part = values | {"first": first, "last": min(first + AT_ONCE - 1, requests)}
            owner.execute(WRITE, part)
            owner.execute(TELL, part)
        owner.execute("VACUUM (ANALYZE) requests, events, chain_waiting")
    session.say.print(f"  {events:,} events written")


async def _measured(session: Session, city: City, events: int) -> None:
    folder = session.server.folder / "audit"
    keyring, storage = Keyring(folder / "keys"), Storage((folder / "files").as_uri())
    keyring.rotate(at=clock.wall())
    async with open_services(session.server.settings) as services:
        seconds = await _chained(services, city)
        figure = Figure(
            "audit", f"{events:,} events chained", events / seconds, "/s", note=f"{seconds:.1f} s, by one worker"
        )
        session.add(figure)
        await Notary(services.db, storage, keyring).checkpoint(city.tenant)
        before = _peak_mb()
        began = time.perf_counter()
        found = await _verified(services, city, storage, keyring, folder)
        seconds, grown = time.perf_counter() - began, _peak_mb() - before
        failed = bool(found.faults) or found.events != events
        note = f"{found.blocks} blocks, {grown:.0f} MB more memory; {found.faults or 'whole'}"
        session.add(
            Figure("audit", f"{events:,} events verified", seconds, "s", Goal(VERIFY_GOAL_S), note=note, failed=failed)
        )


async def _chained(services: Services, city: City) -> float:
    line, began = chain_line(services.db), time.perf_counter()
    while await line.work(city.tenant):
        pass
    return time.perf_counter() - began


async def _verified(services: Services, city: City, storage: Storage, keyring: Keyring, folder: Path) -> Findings:
    verifier = Verifier(
        services.db,
        city.tenant,
        Findings(str(city.tenant.tenant_id)),
        storage=storage,
        keys=keyring.public_keys(),
        keep=lambda found: found.save(folder / "verify.json"),
    )
    return await verifier.run()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
