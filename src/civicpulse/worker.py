"""The worker: drains the outbox, the inbox and the pipeline all the time and runs the timetable of periodic jobs (Procrastinate).

Any number may run against one database: batches are taken with SKIP LOCKED, and a periodic job is queued once however
many workers ask for it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from civicpulse.base.clients.senders import build_sender
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import as_application
from civicpulse.base.log import get_logger
from civicpulse.base.outbox import drain
from civicpulse.base.services import Services, open_services
from civicpulse.base.timetable import EVERY_MINUTE, EVERY_QUARTER_HOUR, HOURLY, PeriodicJob
from civicpulse.centre.jobs import open_shift
from civicpulse.duplicates.jobs import give_opinions
from civicpulse.insight.jobs import fold_all, measure_sla, score_tenants
from civicpulse.notify.deliver import deliver_all
from civicpulse.reactions import reactions_for
from civicpulse.reports.jobs import open_desk
from civicpulse.requests.jobs import forget_old_answers, sweep_clocks
from civicpulse.settings import Settings
from civicpulse.triage.jobs import train_models

log = get_logger(__name__)

POLL_SECONDS = 0.3
AFTER_FAILURE_SECONDS = 2.0

TIMETABLE: tuple[PeriodicJob, ...] = (
    PeriodicJob(EVERY_MINUTE, sweep_clocks),
    PeriodicJob(EVERY_QUARTER_HOUR, measure_sla),
    PeriodicJob(HOURLY, score_tenants),
    PeriodicJob(HOURLY, forget_old_answers),
    PeriodicJob(HOURLY, train_models),
)


def build_jobs(services: Services) -> App:
    """The Procrastinate app with every periodic job; it works on this process's services."""
    jobs = App(
        connector=PsycopgConnector(conninfo=as_application(services.settings.database_url), min_size=1, max_size=4)
    )
    for entry in TIMETABLE:
        _register(jobs, services, entry)
    return jobs


def _register(jobs: App, services: Services, entry: PeriodicJob) -> None:
    name = entry.job.__name__

    @jobs.periodic(cron=entry.cron)
    @jobs.task(name=name, queueing_lock=name, pass_context=False)
    async def run(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate passes the tick by name
        await entry.job(services)


async def run_worker(settings: Settings, *, stop: asyncio.Event) -> None:
    """Works until `stop` is set, then finishes what it holds."""
    async with (
        open_services(settings) as services,
        open_desk(services) as desk,
        open_shift(services, Storage(settings.storage_url), stopping=stop.is_set) as shift,
        _jobs(services),
    ):
        sender = build_sender(settings)
        reactions = reactions_for(settings)

        async def outbox() -> int:
            return await drain(services.db, services.tenants, reactions)

        async def delivery() -> int:
            return await deliver_all(services, sender)

        async def folding() -> int:
            return await fold_all(services)

        async def inbox() -> int:
            return await desk.step()

        async def pipeline() -> int:
            return await shift.step()

        async def opinions() -> int:
            return await give_opinions(services)

        await asyncio.gather(
            _loop(outbox, stop, pause=POLL_SECONDS),
            _loop(inbox, stop, pause=POLL_SECONDS),
            _loop(pipeline, stop, pause=1.0),
            _loop(delivery, stop, pause=1.0),
            _loop(opinions, stop, pause=2.0),
            _loop(folding, stop, pause=5.0),
        )


@asynccontextmanager
async def _jobs(services: Services) -> AsyncIterator[None]:
    jobs = build_jobs(services)
    async with jobs.open_async():
        worker = asyncio.create_task(
            jobs.run_worker_async(install_signal_handlers=False, delete_jobs="successful", shutdown_graceful_timeout=20)
        )
        try:
            yield
        finally:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker


async def _loop(step: Callable[[], Awaitable[int]], stop: asyncio.Event, *, pause: float) -> None:
    """Runs `step` again at once while it finds work, else after `pause` seconds; after a failure, a little later."""
    while not stop.is_set():
        found, wait = 0, AFTER_FAILURE_SECONDS
        try:
            found, wait = await step(), pause
        except (OperationalError, PoolTimeout) as error:
            log.warning("database_unavailable", error=str(error))
        except Exception as error:  # one loop's fault must not stop the others
            log.error("worker_step_failed", step=step.__name__, exc_info=error)
        if not found:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
