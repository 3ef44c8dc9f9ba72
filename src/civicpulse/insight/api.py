"""HTTP of this room: analytics, all of it read-only."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import GeoJson, answers
from civicpulse.base.paging import MAX_LIMIT
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.insight.kpis import agents as agent_figures
from civicpulse.insight.kpis import cohorts as recurrence
from civicpulse.insight.kpis import kpis
from civicpulse.insight.map import geofeeds
from civicpulse.insight.map.feeds import Feed, Made, feed, filters_of
from civicpulse.insight.schemas import Scope, Since, Until, period, scope
from civicpulse.insight.views import AgentFiguresPage, ClustersFeed, CohortsView, HeatmapFeed, KpisView, ZonesFeed
from civicpulse.packs.store import current_pack
from civicpulse.requests.filters import Many, one_of, words
from civicpulse.requests.visibility import reader_of
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["insight"])

VARY = "Authorization, X-API-Key, X-Tenant"
DEFAULT_MAX_AGE = 15

Box = Annotated[str | None, Query(description="west,south,east,north in degrees")]
MaxPoints = Annotated[int, Query(ge=1, le=20_000, description="More than that many features become cells")]
MaxAge = Annotated[int, Query(ge=0, le=3600, description="How many seconds old a stored feed may be")]
Fresh = Annotated[bool, Query(description="Make the feed anew, whatever is stored")]


def seen_tags(request: Request) -> list[str]:
    """Finds the entity tags in If-None-Match, as they were sent; an asterisk counts for nothing here."""
    return [tag.strip() for tag in request.headers.get("if-none-match", "").split(",") if tag.strip()]


def _cache_control(caller: Caller, max_age: int) -> str:
    # What depends on the caller's token stays out of shared caches.
    return f"{'private' if caller.is_staff else 'public'}, max-age={max_age}"


def _unless_seen(request: Request, caller: Caller, answer: dict[str, Any]) -> Response:
    """Answers with a weak ETag: over everything but the moment it was computed at."""
    computed = {name: value for name, value in answer["computed"].items() if name != "generated_at"}
    content = orjson.dumps({**answer, "computed": computed}, option=orjson.OPT_UTC_Z)
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": _cache_control(caller, 0), "Vary": VARY}
    if etag in seen_tags(request):
        return Response(status_code=304, headers=headers)
    return Json(answer, headers=headers)


@router.get("/analytics/kpis", summary="Read the key figures", responses=answers({200: KpisView, 304: None}))
async def get_kpis(
    request: Request,
    caller: Caller = needs(Permission.ANALYTICS_READ),
    zone: Many = None,
    category: Many = None,
    priority: Many = None,
    since: Since = None,
    until: Until = None,
    grain: Annotated[Literal["day", "week", "month"], Query(alias="period")] = "month",
    group: Annotated[
        list[str] | None, Query(description="Which breakdowns: zone, category, priority, period; default all")
    ] = None,
) -> Response:
    """Answers backlog, SLA, resolution, ratings: totals and breakdowns, always as of the last committed change."""
    sight = (await reader_of(caller)).of_figures
    wanted = await scope(caller.tx, sight=sight, zone=zone, category=category, priority=priority)
    groups = one_of("group", words("group", group), kpis.GROUPS) or kpis.GROUPS
    answer = await kpis.kpis(caller.tx, wanted, await period(caller.tx, since, until), grain=grain, groups=groups)
    return _unless_seen(request, caller, answer)


@router.get("/analytics/cohorts", summary="Read what comes back", responses=answers(CohortsView))
async def get_cohorts(
    caller: Caller = needs(Permission.ANALYTICS_READ),
    zone: Many = None,
    category: Many = None,
    since: Since = None,
    until: Until = None,
    days: Annotated[int, Query(ge=1, le=366, description="How soon a report at the same place is a repeat")] = 30,
) -> Response:
    """Answers repeat-issue cohorts: how many first reports of a week were followed by another at the same place, and where most were."""
    wanted = await scope(caller.tx, sight=(await reader_of(caller)).of_figures, zone=zone, category=category)
    asked = await period(caller.tx, since, until)
    return Json(await recurrence.cohorts(caller.tx, wanted, asked, days=days), headers={"Vary": VARY})


@router.get("/analytics/agents", summary="List agents' workload and productivity", responses=answers(AgentFiguresPage))
async def get_agent_figures(
    caller: Caller = needs(Permission.ANALYTICS_STAFF),
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Lists agents by code: their open work now, what they did in the period (default: the last 30 days)."""
    sight = (await reader_of(caller)).of_figures
    asked = await period(caller.tx, since, until)
    return Json(await agent_figures.agents(caller.tx, asked, sight, limit=limit, cursor=cursor))


async def _geojson(
    request: Request,
    caller: Caller,
    feed_name: str,
    filters: dict[str, Any],
    make: Callable[[datetime], Awaitable[Made]],
    *,
    max_age: int,
) -> Response:
    made: Feed = await feed(caller.tx, feed_name, filters, make, max_age=max_age, seen=seen_tags(request))
    headers = {"ETag": made.etag, "Cache-Control": _cache_control(caller, max_age), "Vary": VARY}
    if made.body is None:
        return Response(status_code=304, headers=headers)
    return Response(made.body, media_type="application/geo+json", headers=headers)


async def _weights(caller: Caller) -> dict[str, float]:
    return dict((await current_pack(caller.tx)).priority_weights)


async def _map_scope(
    caller: Caller,
    zone: list[str] | None,
    category: list[str] | None,
    priority: list[str] | None,
    status: list[str] | None,
    bbox: str | None,
) -> Scope:
    sight = (await reader_of(caller)).of_figures
    return await scope(
        caller.tx, sight=sight, zone=zone, category=category, priority=priority, status=status, bbox=bbox
    )


@router.get(
    "/analytics/geofeeds/heatmap",
    summary="Read the heatmap of open requests",
    response_class=GeoJson,
    responses=answers({200: HeatmapFeed, 304: None}),
)
async def get_heatmap(
    request: Request,
    caller: Caller = needs(Permission.ANALYTICS_READ),
    zone: Many = None,
    category: Many = None,
    priority: Many = None,
    status: Many = None,
    bbox: Box = None,
    max_points: MaxPoints = 5000,
    max_age: MaxAge = DEFAULT_MAX_AGE,
    fresh: Fresh = False,
) -> Response:
    """Draws GeoJSON points weighted by priority and age; too many of them become H3 cells with their weights added up."""
    wanted = await _map_scope(caller, zone, category, priority, status, bbox)
    make = partial(geofeeds.heatmap, caller.tx, wanted, weights=await _weights(caller), max_points=max_points)
    return await _geojson(
        request,
        caller,
        "open_requests_heatmap",
        filters_of(wanted, max_points=max_points),
        lambda at: make(at=at),
        max_age=0 if fresh else max_age,
    )


@router.get(
    "/analytics/geofeeds/clusters",
    summary="Read clusters of open requests",
    response_class=GeoJson,
    responses=answers({200: ClustersFeed, 304: None}),
)
async def get_clusters(
    request: Request,
    caller: Caller = needs(Permission.ANALYTICS_READ),
    zoom: Annotated[
        int, Query(ge=0, le=geofeeds.MAX_ZOOM, description="The map's zoom; sets the size of the cells")
    ] = 12,
    zone: Many = None,
    category: Many = None,
    priority: Many = None,
    status: Many = None,
    bbox: Box = None,
    max_points: MaxPoints = 5000,
    max_age: MaxAge = DEFAULT_MAX_AGE,
    fresh: Fresh = False,
) -> Response:
    """Draws open requests grouped for a zoom, each group with its count, weight and the zoom at which it falls apart.

    Zoom to H3 resolution: 0-3: 1, 4: 2, 5-6: 3, 7: 4, 8-9: 5, 10: 6, 11: 7, 12-13: 8, 14: 9, 15: 10; from 16 on single
    requests. Coarser when there would be more than `max_points` features.
    """
    wanted = await _map_scope(caller, zone, category, priority, status, bbox)
    make = partial(
        geofeeds.clusters, caller.tx, wanted, weights=await _weights(caller), zoom=zoom, max_points=max_points
    )
    return await _geojson(
        request,
        caller,
        "open_requests_clusters",
        filters_of(wanted, zoom=zoom, max_points=max_points),
        lambda at: make(at=at),
        max_age=0 if fresh else max_age,
    )


@router.get(
    "/analytics/geofeeds/zones",
    summary="Read zones with their figures",
    response_class=GeoJson,
    responses=answers({200: ZonesFeed, 304: None}),
)
async def get_zone_figures(
    request: Request,
    caller: Caller = needs(Permission.ANALYTICS_READ),
    zone: Many = None,
    category: Many = None,
    priority: Many = None,
    status: Many = None,
    bbox: Box = None,
    max_age: MaxAge = DEFAULT_MAX_AGE,
    fresh: Fresh = False,
) -> Response:
    """Draws zone polygons to colour a map by: what is open, at risk, overdue and breached, and what was resolved lately."""
    wanted = await _map_scope(caller, zone, category, priority, status, bbox)
    make = partial(geofeeds.zones, caller.tx, wanted, weights=await _weights(caller))
    return await _geojson(
        request, caller, "zone_summary", filters_of(wanted), lambda at: make(at=at), max_age=0 if fresh else max_age
    )
