"""HTTP of this room: SLA metrics, performance scores, leaderboards (R-SLA-08, R-KPI-05, R-KPI-06)."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import answers
from civicpulse.base.errors import Forbidden, Invalid
from civicpulse.base.paging import MAX_LIMIT, decode_cursor, encode_cursor, page
from civicpulse.base.web import Json, TransactionRoute
from civicpulse.base.wire import Word
from civicpulse.insight.api import VARY
from civicpulse.insight.schemas import Since, Until, period
from civicpulse.insight.scores import leaderboard, measuring, scores
from civicpulse.insight.scores.views import Leaderboard, RecalculatedView, ScoresPage, SlaMetricsPage
from civicpulse.requests.filters import Many, known_categories, known_zones, priorities_of, words
from civicpulse.requests.named import known_request
from civicpulse.requests.visibility import reader_of
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["scores"])

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=500)]


@router.get(
    "/sla-metrics",
    summary="List how each resolution stood against its threshold",
    responses=answers(SlaMetricsPage),
)
async def list_sla_metrics(
    caller: Caller = needs(Permission.ANALYTICS_STAFF),
    category: Many = None,
    severity: Annotated[
        list[str] | None, Query(description="critical, high, medium, low or P1 to P4; repeated or comma-separated")
    ] = None,
    zone: Many = None,
    met: Annotated[bool | None, Query(description="Only those that met their SLA, or only those that did not")] = None,
    number: Annotated[Word | None, Query(alias="request_id", description="Only those of this request")] = None,
    superseded: Annotated[bool, Query(description="Also those of resolutions that no longer stand")] = False,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists figures by time of resolution, latest first; taken every 15 minutes. `from` and `to` are times of resolution."""
    during, reader = await period(caller.tx, since, until), await reader_of(caller)
    if number is not None:
        await known_request(caller.tx, "request_id", number, reader.sight)
    wanted = {
        "category": list(await known_categories(caller.tx, words("category", category))) or None,
        "priority": list(priorities_of(words("severity", severity))) or None,
        "zone_id": list(await known_zones(caller.tx, words("zone", zone))) or None,
        "met_sla": met,
        "number": number,
        "since": during.since,
        "until": during.until,
    }
    listed = await measuring.list_metrics(
        caller.tx, wanted, reader.of_figures, superseded=superseded, limit=limit, cursor=cursor
    )
    return Json(listed | {"computed": {"time_zone": during.zone.key}})


@router.get("/scores", summary="List performance scores of the tenant and its zones", responses=answers(ScoresPage))
async def list_scores(
    caller: Caller = needs(Permission.ANALYTICS_READ),
    zone: Many = None,
    level: Annotated[
        Literal["tenant", "zone"] | None, Query(description="Only the whole tenant, or only its zones")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Lists the latest scores, each with its trend; with `from` or `to` those of the hours between, newest first.

    Callers who are not staff see scores of public requests. Hours are kept for 40 days, then the last one of each day.
    """
    zones = await known_zones(caller.tx, words("zone", zone))
    if zones and level == "tenant":
        raise Invalid("Ask either for zones or for level=tenant.", field="level")
    answer = await scores.list_scores(
        caller.tx,
        await period(caller.tx, since, until),
        public_only=not (await reader_of(caller)).of_sums.is_everything,
        zones=zones,
        level=level,
        limit=limit,
        cursor=cursor,
    )
    return Json(answer, headers={"Vary": VARY})


@router.get(
    "/scores/leaderboard",
    summary="Rank zones, offices or managers, or the tenants that chose to be compared",
    responses=answers(Leaderboard),
)
async def get_leaderboard(
    caller: Caller = needs(Permission.ANALYTICS_READ),
    scope: Annotated[
        Literal["zones", "offices", "managers", "tenants"],
        Query(description="offices and managers: for staff; tenants: those whose configuration says score.public"),
    ] = "zones",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Ranks by score: equal scores share a rank; without a score one stands last and unranked. Trend and rank_change are of 24 hours."""
    if scope == "tenants":
        ranked = await leaderboard.rank_tenants(caller.tx)
    elif scope != "zones":
        if not caller.may(Permission.ANALYTICS_STAFF):
            raise Forbidden("How offices and managers stand is for staff.")
        ranked = await leaderboard.rank_desks(caller.tx, scope, (await reader_of(caller)).reach)
    else:
        ranked = await leaderboard.rank_zones(
            caller.tx, public_only=not (await reader_of(caller)).of_sums.is_everything
        )
    start = decode_cursor(cursor, scope, (int,))[0] if cursor else 0
    if start < 0:
        raise Invalid("This cursor does not fit: take the one from an answer to the same list.", field="cursor")
    following = encode_cursor(scope, [start + limit]) if len(ranked) > start + limit else None
    return Json(page(ranked[start : start + limit], following, scope=scope), headers={"Vary": VARY})


@router.post("/scores/recalculate", summary="Compute the scores of this hour now", responses=answers(RecalculatedView))
async def recalculate_scores(caller: Caller = needs(Permission.SCORE_RECALCULATE)) -> Response:
    """Replaces this hour's scores, as often as it is called; answers how many there are and the tenant's own."""
    written = await scores.compute_scores(caller.tx)
    return Json({"written": written, "tenant": await scores.latest_score(caller.tx, public_only=False)})
