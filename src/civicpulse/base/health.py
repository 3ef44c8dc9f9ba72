"""Operations: is the process alive, is it ready, what does it measure."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import Error
from psycopg_pool import PoolTimeout

from civicpulse.base.web import Json, services_of

router = APIRouter(tags=["operations"])


@router.get("/health/live")
async def live() -> Response:
    """200 as long as the process answers."""
    return Json({"status": "live"})


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """200 when the database answers and is migrated, else 503 with the reason."""
    try:
        async with services_of(request).db.gate() as conn:
            await conn.execute("SELECT 1 FROM gate_tenants() LIMIT 1")
    except (Error, PoolTimeout) as error:
        return Json({"status": "not ready", "reason": str(error).splitlines()[0]}, status_code=503)
    return Json({"status": "ready"})


@router.get("/metrics")
async def metrics() -> Response:
    """Prometheus text."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
