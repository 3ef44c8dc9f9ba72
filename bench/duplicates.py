"""The look-up of duplicates, in a city of 10,000 requests and in the filled one, over HTTP and by the database alone; and in a place
with thousands of open reports."""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from psycopg.rows import dict_row

from bench.fill import fill
from bench.load import Load, http_request, run_load
from bench.server import City
from bench.session import Session, middle
from bench.table import Figure, Goal
from civicpulse.base.logins import as_application
from civicpulse.duplicates.queries import FIND_NEAR
from civicpulse.duplicates.search import surroundings
from civicpulse.intake.placing import Spot
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import compile_pack
from civicpulse.places.cells import cell_of

SMALL = 10_000
RATIO_GOAL = 1.5
CROWD = 5_000
TEXT = "Something is wrong at this place and has been so for days"

# Where somebody has reported something lately: there is a duplicate to find.
SPOTS = """
SELECT category, lon, lat, address_hint FROM requests
WHERE tenant_id = %s AND master_id IS NULL AND state_category = 'open' AND created_at > now() - interval '6 days' AND category = ANY(%s)
ORDER BY md5(id::text) LIMIT 1000
"""

# Copies of one open request, all in one place.
CROWD_IN = """
INSERT INTO requests (tenant_id, id, number, pack_version, is_public, category, description, tags, status, state_category, priority,
                      priority_score, lon, lat, cell, address_hint, address_key, zone_id, sla_state, created_at, updated_at)
SELECT r.tenant_id, gen_random_uuid(), 'CROWD-' || g, r.pack_version, true, r.category, r.description, r.tags, r.status, 'open', r.priority,
       r.priority_score, %(lon)s, %(lat)s, %(cell)s, r.address_hint, r.address_key, r.zone_id, 'no_sla', now() - g * interval '1 minute', now()
FROM (SELECT requests.* FROM requests WHERE tenant_id = %(tenant_id)s AND category = %(category)s AND state_category = 'open' AND master_id IS NULL
      LIMIT 1) AS r, generate_series(1, %(crowd)s) AS g
"""


def duplicates(session: Session) -> None:
    """Small first, then large, then crowded; the same question each time."""
    small = session.server.city("small")
    fill(session.server, small, SMALL, say=session.say)
    session.server.restart_api()
    spots = _spots(session, small)
    http = _over_http(session, small, spots, f"POST /requests/similar, {SMALL:,} requests")
    alone = _alone(session, small, spots, f"by the database alone, {SMALL:,} requests")
    city = session.filled()
    spots = _spots(session, city)
    name = f"{session.rows:,} requests"
    _over_http(session, city, spots, f"POST /requests/similar, {name}", against=http)
    _alone(session, city, spots, f"by the database alone, {name}", against=alone)
    crowded = [_crowd(session, city, spots[0])]
    name = f"{CROWD:,} open reports in one place"
    _over_http(session, city, crowded, f"POST /requests/similar, {name}")
    _alone(session, city, crowded, f"by the database alone, {name}")


def _spots(session: Session, city: City) -> list[dict[str, Any]]:
    pack = compile_pack(read_pack("civic"))
    kinds = [category for category in pack.categories if pack.compatible(category)]
    with session.server.owner() as owner, owner.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SPOTS, [city.tenant.tenant_id, kinds]).fetchall()


def _crowd(session: Session, city: City, spot: dict[str, Any]) -> dict[str, Any]:
    place = {"lon": spot["lon"], "lat": spot["lat"], "cell": cell_of(spot["lon"], spot["lat"])}
    with session.server.owner() as owner:
        owner.execute(
            CROWD_IN, place | {"tenant_id": city.tenant.tenant_id, "category": spot["category"], "crowd": CROWD}
        )
        owner.execute("ANALYZE requests")
    return spot


def _over_http(
    session: Session, city: City, spots: Sequence[dict[str, Any]], what: str, *, against: float = 0.0
) -> float:
    count = 300 if session.quick else 1500
    asked = [_request(city, spot) for spot in random.Random(3).choices(spots, k=count)]
    run_load(session.server.port, asked[:50], connections=1)
    load: Load = run_load(session.server.port, asked, connections=1)
    return _add(session, what, load.percentile(0.5), against, note=load.tail, failed=bool(load.failures))


def _request(city: City, spot: dict[str, Any]) -> bytes:
    point = {"type": "Point", "coordinates": [spot["lon"], spot["lat"]], "address_hint": spot["address_hint"]}
    body = orjson.dumps({"category": spot["category"], "description": TEXT, "location": point})
    return http_request("POST", "/requests/similar", headers={"X-Tenant": city.tenant.slug}, body=body)


def _alone(session: Session, city: City, spots: Sequence[dict[str, Any]], what: str, *, against: float = 0.0) -> float:
    """The product's own statement through the application role and its row policies, prepared as the product does it."""
    pack, now, tenant_id = compile_pack(read_pack("civic")), datetime.now(UTC), city.tenant.tenant_id
    spent, found = [], 0
    with psycopg.connect(as_application(session.server.url), autocommit=True) as conn, conn.transaction():
        conn.execute(f"SET LOCAL civicpulse.tenant = '{tenant_id}'".encode())
        for spot in random.Random(3).choices(spots, k=300 if session.quick else 1500):
            place = Spot(spot["lon"], spot["lat"], spot["address_hint"])
            row = place.columns(finds_duplicates=True) | {"category": spot["category"], "asset_id": None}
            values = surroundings(tenant_id, pack, row, now).values
            began = time.perf_counter()
            answer = conn.execute(FIND_NEAR, values, prepare=True).fetchone()
            spent.append((time.perf_counter() - began) * 1000)
            found += len((answer and answer[0]) or [])
    note = f"{found / len(spent):.1f} candidates each"
    return _add(session, what, middle(spent[len(spent) // 10 :]), against, note=note, failed=found == 0)


def _add(session: Session, what: str, p50: float, against: float, *, note: str, failed: bool) -> float:
    session.add(Figure("duplicates", what, p50, "ms p50", None, note=note, failed=failed))
    if against:
        ratio = f"{what.split(',')[0]}: large ÷ small"
        session.add(
            Figure("duplicates", ratio, p50 / against, "", Goal(RATIO_GOAL), note=f"against {SMALL:,} requests")
        )
    return p50
