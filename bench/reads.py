"""Reads with the filled tables: lists, search, one request, key figures, map feeds."""

import random
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

from bench.load import http_request, run_load
from bench.reports import SIZE, SOUTH, WEST
from bench.session import Session
from bench.table import Figure
from civicpulse.base.paging import encode_cursor

PAGE = 50
FAR_PAGE = 1000
KPI_GOAL_MS = 50
HEATMAP_GOAL_MS = 150

# Sort → (column list of its order, descending); the place of a page is looked up to make its cursor.
ORDERS = {
    "-created_at": (("created_at", "id"), "DESC"),
    "-updated_at": (("updated_at", "id"), "DESC"),
    "priority": (("priority", "created_at", "id"), "ASC"),
}


def box(share: float) -> str:
    """A bbox around the city's middle with `share` of its side."""
    west, south = WEST + SIZE * (1 - share) / 2, SOUTH + SIZE * (1 - share) / 2
    return f"{west:.5f},{south:.5f},{west + SIZE * share:.5f},{south + SIZE * share:.5f}"


def list_paths(session: Session) -> dict[str, str]:
    """Lists worth asking for: each filter alone, in pairs that no index has, and those that match nothing."""
    with session.server.owner() as owner:
        (agent,) = owner.execute("SELECT agent_code FROM agents ORDER BY agent_code LIMIT 1").fetchone() or ("",)
        (now,) = owner.execute("SELECT now()").fetchone() or (None,)
    assert now is not None
    month = f"from={quote((now - timedelta(days=200)).isoformat())}&to={quote((now - timedelta(days=170)).isoformat())}"
    filters = {
        "status=triaged": "status=triaged",
        "status=new,triaged": "status=new,triaged",
        "zone and category": "zone=Z-07&category=graffiti",
        "zone, category, status, priority": "zone=Z-07&category=graffiti&status=assigned&priority=P1",
        "sla_state=overdue": "sla_state=overdue",
        "sla_state=breached in a zone": "sla_state=breached&zone=Z-03",
        "agent": f"agent={agent}",
        "agent and status": f"agent={agent}&status=in_progress",
        "a month of last year": month,
        "sort=priority": "sort=priority",
        "sort=-updated_at": "sort=-updated_at",
        "status=assigned, sort=priority": "status=assigned&sort=priority",
        "zone, sort=-updated_at": "zone=Z-07&sort=-updated_at",
        "merged=true": "merged=true",
        "nothing: external_id": "external_id=none-such",
        "nothing: zone and priority": "zone=UNZONED&priority=P1",
        "mine, of nobody": "mine=true",
        "total": "total=true",
    }
    return {name: f"/requests?limit={PAGE}&{query}" for name, query in filters.items()}


def search_paths() -> dict[str, str]:
    """Text searches and map windows."""
    return {
        "q of one": f"/requests?limit={PAGE}&q=r4711",
        "q, two words": f"/requests?limit={PAGE}&q=" + quote("asphalt 1999"),
        "q in a third of all": f"/requests?limit={PAGE}&q=street",
        "q of nothing": f"/requests?limit={PAGE}&q=xylophone",
        "bbox, whole city": f"/requests?limit={PAGE}&bbox={box(1)}",
        "bbox, a district": f"/requests?limit={PAGE}&bbox={box(0.1)}",
        "bbox, a street": f"/requests?limit={PAGE}&bbox={box(0.004)}",
        "bbox, at sea": f"/requests?limit={PAGE}&bbox=-40,40,-39,41",
        "bbox, open ones of a district": f"/requests?limit={PAGE}&status=new&bbox={box(0.1)}",
    }


def analytics_paths() -> dict[str, str]:
    """Key figures and map feeds, computed anew each time."""
    return {
        "kpis": "/analytics/kpis",
        "kpis, two zones, P1": "/analytics/kpis?zone=Z-03,Z-07&priority=P1",
        "kpis, by day": "/analytics/kpis?period=day",
        "heatmap": "/analytics/geofeeds/heatmap?fresh=true",
        "heatmap, a district": f"/analytics/geofeeds/heatmap?fresh=true&bbox={box(0.1)}",
        "heatmap, 20,000 points": "/analytics/geofeeds/heatmap?fresh=true&max_points=20000",
        "clusters, zoom 12": "/analytics/geofeeds/clusters?fresh=true&zoom=12",
        "clusters, zoom 15 in a district": f"/analytics/geofeeds/clusters?fresh=true&zoom=15&bbox={box(0.1)}",
        "zones": "/analytics/geofeeds/zones?fresh=true",
        "cohorts": "/analytics/cohorts",
        "agents": "/analytics/agents",
    }


def cursor_of_page(session: Session, sort: str, page: int) -> str:
    """The cursor that the page before `page` would have given, looked up instead of walked to."""
    columns, direction = ORDERS[sort]
    order = ", ".join(f"{column} {direction}" for column in columns)
    wanted = f"SELECT {', '.join(columns)} FROM requests WHERE tenant_id = %s ORDER BY {order} OFFSET %s LIMIT 1"
    with session.server.owner() as owner:
        row = owner.execute(wanted.encode(), [session.filled().tenant.tenant_id, PAGE * (page - 1) - 1]).fetchone()
    assert row is not None, "the city has fewer pages than that"
    return encode_cursor(sort, row)


def lists(session: Session) -> None:
    """The first page and the 1,000th of three sorts, then filters."""
    city, count = session.filled(), 50 if session.quick else 200
    far = min(FAR_PAGE, session.rows // PAGE // 2)
    for sort in ORDERS:
        path = f"/requests?limit={PAGE}&sort={sort}"
        first = session.add_latency("list", f"{sort}, page 1", session.gets(path, count, headers=city.headers))
        load = session.gets(f"{path}&cursor={cursor_of_page(session, sort, far)}", count, headers=city.headers)
        session.add_latency("list", f"{sort}, page {far:,} by cursor", load, ratio_to=first, against="of page 1")
    anonymous = session.gets(f"/requests?limit={PAGE}", count, headers={"X-Tenant": city.tenant.slug})
    session.add_latency("list", "page 1, anonymous", anonymous)
    _each(session, "list", list_paths(session), count // 4)
    many = run_load(
        session.server.port, [http_request("GET", "/requests", headers=city.headers)] * count * 4, connections=16
    )
    failed = bool(many.failures)
    session.add(Figure("list", "page 1, 16 connections", many.per_second, "/s", note=many.tail, failed=failed))


def search(session: Session) -> None:
    """Words and windows."""
    _each(session, "search", search_paths(), 10 if session.quick else 50)


def analytics(session: Session) -> None:
    """Key figures and feeds."""
    goals = {"kpis": KPI_GOAL_MS, "heatmap": HEATMAP_GOAL_MS}
    _each(session, "analytics", analytics_paths(), 10 if session.quick else 30, goals=goals)


def _each(
    session: Session, section: str, paths: dict[str, str], count: int, *, goals: Mapping[str, float] | None = None
) -> None:
    headers = session.filled().headers
    for name, path in paths.items():
        load = session.gets(path, count, headers=headers)
        session.add_latency(section, name, load, goal_ms=(goals or {}).get(name))


def get(session: Session) -> None:
    """GET /requests/{id} of requests all over the table."""
    city, count = session.filled(), 300 if session.quick else 2000
    with session.server.owner() as owner:
        found = owner.execute(
            "SELECT number FROM requests WHERE tenant_id = %s AND id > %s ORDER BY number LIMIT 200000",
            [city.tenant.tenant_id, "00000000-0000-0000-0000-000000000000"],
        ).fetchall()
    numbers = random.Random(5).choices([row[0] for row in found], k=count)
    for what, path in (
        ("one request", "/requests/{}"),
        ("its events", "/requests/{}/events"),
        ("its SLA", "/requests/{}/sla"),
    ):
        requests = [http_request("GET", path.format(number), headers=city.headers) for number in numbers]
        session.add_latency("get", what, run_load(session.server.port, requests, connections=1))
        if what == "one request":
            load = run_load(session.server.port, requests, connections=16)
            rate, failed = load.per_second, bool(load.failures)
            session.add(Figure("get", "one request, 16 connections", rate, "/s", note=load.tail, failed=failed))
