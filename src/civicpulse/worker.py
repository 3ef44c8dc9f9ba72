"""The worker: works on every queue all the time, for several tenants side by side, and on what has its hour.

Any number may run against one database: rows are taken under leases, and a timer is claimed by one worker at a time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from prometheus_client import start_http_server
from psycopg import Error, OperationalError
from psycopg_pool import PoolTimeout

from civicpulse.audit.chain import CHAIN, chain_line
from civicpulse.audit.jobs import Notary, checkpoints_timer
from civicpulse.audit.keys import Keyring
from civicpulse.base import outbox
from civicpulse.base.clients.senders import build_sender
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Database
from civicpulse.base.due import Source
from civicpulse.base.gauges import measure_pool
from civicpulse.base.heartbeat import Heart
from civicpulse.base.log import get_logger
from civicpulse.base.outbox import outbox_line
from civicpulse.base.services import Services, open_services
from civicpulse.base.turns import Line, Turns, look_around, open_turns
from civicpulse.centre import run_queries
from civicpulse.centre.jobs import runs_line
from civicpulse.duplicates import opinion_queries
from civicpulse.duplicates.jobs import opinions_line
from civicpulse.insight.jobs import KPIS, METRICS, kpis_line, metrics_line, scores_timer
from civicpulse.notify import queries as notifications
from civicpulse.notify.deliver import delivery_line
from civicpulse.reactions import reactions_for
from civicpulse.reports import queries as reports
from civicpulse.reports.jobs import reports_line
from civicpulse.requests.jobs import CLOCKS, WORDINGS, answers_timer, clocks_line, wordings_line
from civicpulse.settings import Settings
from civicpulse.triage.jobs import training_timer

log = get_logger(__name__)

POLL_SECONDS: Final = 0.3
LOOK_AROUND_SECONDS: Final = 600.0
BEAT_SECONDS: Final = 10.0
AFTER_FAILURE_SECONDS: Final = 2.0

# What events set off and changes of requests bring; and what is written by others.
FED: Final[Sequence[Source]] = (
    notifications.QUEUE.source, opinion_queries.QUEUE.source, CLOCKS, KPIS, METRICS, CHAIN,
)  # fmt: skip
SOURCES: Final[Sequence[Source]] = (outbox.QUEUE.source, reports.QUEUE.source, run_queries.QUEUE.source, WORDINGS, *FED)


def lines_of(services: Services, *, stopping: Callable[[], bool]) -> list[Line]:
    """Makes a line for each queue."""
    settings = services.settings
    opinions = opinions_line(services)
    return [
        outbox_line(services.db, reactions_for(settings), FED),
        reports_line(services),
        runs_line(services, Storage(settings.storage_url), stopping=stopping),
        delivery_line(services, build_sender(settings)),
        clocks_line(services),
        wordings_line(services),
        kpis_line(services),
        metrics_line(services),
        chain_line(services.db),
        *([opinions] if opinions else []),
    ]


def timers_of(services: Services) -> list[Line]:
    """Makes a line for each job that has its hour."""
    settings = services.settings
    notary = Notary(
        services.db, Storage(settings.storage_url), Keyring(settings.audit_dir), witness_url=settings.audit_witness_url
    )
    return [
        scores_timer(services),
        answers_timer(services),
        training_timer(services),
        checkpoints_timer(services.db, notary, minutes=settings.audit_checkpoint_minutes),
    ]


async def run_worker(settings: Settings, *, stop: asyncio.Event) -> None:
    """Works until `stop` is set, then finishes what it holds."""
    async with open_services(settings) as services, _alive(services.db, stop), _figures(settings.worker_metrics_port):
        timers = timers_of(services)
        lines = [*lines_of(services, stopping=stop.is_set), *timers]
        async with open_turns(services.db, services.tenants, lines) as turns:

            async def everywhere() -> None:
                await look_around(services.db, services.tenants, SOURCES, timers)

            await asyncio.gather(_take_turns(turns, stop), _loop(everywhere, stop, pause=LOOK_AROUND_SECONDS))


@contextlib.asynccontextmanager
async def _alive(db: Database, stop: asyncio.Event) -> AsyncIterator[None]:
    """Lets the worker's heart beat during the block."""
    heart = Heart(db, "worker")

    async def beat() -> None:
        measure_pool(db)
        await heart.beat()

    beating = asyncio.create_task(_loop(beat, stop, pause=BEAT_SECONDS))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        with contextlib.suppress(Error, PoolTimeout):  # its row is old soon
            await heart.leave()


@contextlib.asynccontextmanager
async def _figures(port: int) -> AsyncIterator[None]:
    """Serves this process's own counts to Prometheus during the block, where a port is set."""
    if not port:
        yield
        return
    server, thread = start_http_server(port)
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


async def _take_turns(turns: Turns, stop: asyncio.Event) -> None:
    async def step() -> None:
        await turns.step()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(turns.more.wait(), POLL_SECONDS)

    await _loop(step, stop, pause=0)


async def _loop(step: Callable[[], Awaitable[None]], stop: asyncio.Event, *, pause: float) -> None:
    """Runs `step` again after `pause` seconds; after a failure, a little later."""
    while not stop.is_set():
        wait = AFTER_FAILURE_SECONDS
        try:
            await step()
            wait = pause
        except (OperationalError, PoolTimeout) as error:
            log.warning("database_unavailable", error=str(error))
        except Exception as error:  # one fault must not stop the worker
            log.error("worker_step_failed", step=step.__name__, exc_info=error)
        if wait:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
