"""Operations: is the process alive, is it ready, what does it measure."""

from contextlib import suppress
from typing import Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import Error
from psycopg_pool import PoolTimeout

from civicpulse.base.answers import Media, View, answers, optional
from civicpulse.base.web import DeclaredRoute, Json, services_of

router = APIRouter(route_class=DeclaredRoute, tags=["operations"])


class LiveView(View):
    """The process answers."""

    status: Literal["live"]


class ReadyView(View):
    """The database answers and is migrated, or why not."""

    status: Literal["ready", "not ready"]
    reason: str = optional()


@router.get("/health/live", summary="Ask whether the process is alive", responses=answers(LiveView))
async def check_live() -> Response:
    """Answers 200 as long as the process answers."""
    return Json({"status": "live"})


@router.get(
    "/health/ready", summary="Ask whether the process is ready", responses=answers({200: ReadyView, 503: ReadyView})
)
async def check_ready(request: Request) -> Response:
    """Answers 200 when the database answers and is migrated, else 503 with the reason."""
    try:
        async with services_of(request).db.gate() as conn:
            await conn.execute("SELECT 1 FROM gate_tenants() LIMIT 1")
    except (Error, PoolTimeout) as error:
        return Json({"status": "not ready", "reason": str(error).splitlines()[0]}, status_code=503)
    return Json({"status": "ready"})


@router.get("/metrics", summary="Read figures for Prometheus", responses=answers(Media(("text/plain",))))
async def read_metrics(request: Request) -> Response:
    """Answers with the figures as Prometheus text. What is measured in the database is measured now; while it is away, the last figures stand."""
    with suppress(Error, PoolTimeout):
        for measure in request.app.state.measures:
            await measure(services_of(request).db)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
