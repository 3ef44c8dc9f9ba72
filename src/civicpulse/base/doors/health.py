"""Operations: is the process alive, is it ready, what does it measure."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Literal, TypeVar

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from psycopg import Error
from psycopg_pool import PoolTimeout

from civicpulse.base.answers import Media, View, answers, optional
from civicpulse.base.db import Database
from civicpulse.base.gauges import measure_pool, measure_processes, measure_queues
from civicpulse.base.heartbeat import Heart
from civicpulse.base.log import get_logger
from civicpulse.base.web import DeclaredRoute, Json

log = get_logger(__name__)

router = APIRouter(route_class=DeclaredRoute, tags=["operations"])

KEEP_SECONDS: Final = 1.0  # anybody may ask: the database is asked no more often
LIMIT_SECONDS: Final = 2.0

READY: Final = Gauge("civicpulse_ready", "1 when this process is ready: the database takes writes")
MEASURED: Final = Gauge("civicpulse_measured_timestamp_seconds", "When the database was last measured, in Unix time")

T = TypeVar("T")
Measure = Callable[[Database], Awaitable[None]]


class LiveView(View):
    """The process answers."""

    status: Literal["live"]


class ReadyView(View):
    """The database is migrated and takes writes, or why not."""

    status: Literal["ready", "not ready"]
    reason: str = optional()


class Recent(Generic[T]):
    """What `work` finds: looked for by one at a time, kept for `keep` seconds, waited for `limit` seconds and no longer."""

    def __init__(
        self, work: Callable[[], Awaitable[T]], *, keep: float = KEEP_SECONDS, limit: float = LIMIT_SECONDS
    ) -> None:
        self._work, self._keep, self._limit = work, keep, limit
        self._task: asyncio.Task[T] | None = None
        self._until = 0.0

    async def get(self) -> T | None:
        """Gives what was found; None when it does not come in time: the next to ask then waits for the same look."""
        if self._task is None or (self._task.done() and time.monotonic() >= self._until):
            self._task = asyncio.create_task(self._look())
        done, _ = await asyncio.wait({self._task}, timeout=self._limit)
        return self._task.result() if done else None

    async def _look(self) -> T:
        try:
            return await self._work()
        finally:
            self._until = time.monotonic() + self._keep

    async def close(self) -> None:
        """Gives up a look that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Health:
    """Whether this process is ready, and what it measures; `measures` are those of other rooms."""

    def __init__(
        self,
        db: Database,
        measures: Sequence[Measure] = (),
        *,
        keep: float = KEEP_SECONDS,
        limit: float = LIMIT_SECONDS,
    ) -> None:
        self._db, self._heart = db, Heart(db, "api")
        self._measures = (measure_queues, measure_processes, *measures)
        self._fault = Recent(self._find_fault, keep=keep, limit=limit)
        self._figures = Recent(self._measure, keep=keep, limit=limit)

    async def fault(self) -> str:
        """Says why the process is not ready; nothing when it is."""
        fault = await self._fault.get()
        if fault is None:
            fault = "The database does not answer in time."
        READY.set(not fault)
        return fault

    async def figures(self) -> bytes:
        """Gives all figures as Prometheus text; those of the database are the last ones while it does not answer."""
        await asyncio.gather(self.fault(), self._figures.get())
        measure_pool(self._db)
        return generate_latest()

    async def close(self) -> None:
        """Gives up what is under way."""
        await self._fault.close()
        await self._figures.close()

    async def _find_fault(self) -> str:
        try:
            await self._heart.beat()
        except (Error, PoolTimeout) as error:
            log.warning("not_ready", error=str(error))
            # The server's own words name no host and no log-in; those of the connection may.
            said = error.diag.message_primary if isinstance(error, Error) else None
            return f"The database takes no writes: {said}" if said else "The database cannot be reached."
        return ""

    async def _measure(self) -> None:
        try:
            for measure in self._measures:
                await measure(self._db)
        except (Error, PoolTimeout) as error:
            log.warning("not_measured", error=str(error))
        else:
            MEASURED.set_to_current_time()


@router.get("/health/live", summary="Ask whether the process is alive", responses=answers(LiveView))
async def check_live() -> Response:
    """Answers 200 as long as the process answers."""
    return Json({"status": "live"})


@router.get(
    "/health/ready", summary="Ask whether the process is ready", responses=answers({200: ReadyView, 503: ReadyView})
)
async def check_ready(request: Request) -> Response:
    """Answers 200 when the database is migrated and takes writes, else 503 with the reason; within two seconds."""
    health: Health = request.app.state.health
    if fault := await health.fault():
        return Json({"status": "not ready", "reason": fault}, status_code=503)
    return Json({"status": "ready"})


@router.get("/metrics", summary="Read figures for Prometheus", responses=answers(Media(("text/plain",))))
async def read_metrics(request: Request) -> Response:
    """Answers with the figures as Prometheus text. What is measured in the database is measured now; while it is away, the last figures stand."""
    health: Health = request.app.state.health
    return Response(await health.figures(), media_type=CONTENT_TYPE_LATEST)
