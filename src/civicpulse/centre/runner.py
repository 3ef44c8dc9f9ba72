"""Takes a run and does its steps, from wherever it stands; the web process and the worker run the same."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from uuid import UUID

from psycopg import OperationalError

from civicpulse.base import clock, leases
from civicpulse.base.clients.storage import Storage
from civicpulse.base.errors import Problem
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.centre import run_queries, staging
from civicpulse.centre.analyse import analyse
from civicpulse.centre.assign import assign
from civicpulse.centre.attachments import join_attachments
from civicpulse.centre.geocode import geocode
from civicpulse.centre.incoming import drop
from civicpulse.centre.ingest import ingest
from civicpulse.centre.run import LostLease, Run, RunFailed, Stopped
from civicpulse.packs.store import current_pack

log = get_logger(__name__)

STEPS: Final[Mapping[str, Callable[[Run], Awaitable[None]]]] = {
    "ingest": ingest,
    "attachments": join_attachments,
    "geocode": geocode,
    "analyse": analyse,
    "assign": assign,
}


async def run_next(
    services: Services,
    storage: Storage,
    tenant: Tenant,
    *,
    run_id: UUID | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> UUID | None:
    """Takes the tenant's oldest due run, or that one, and works on it to its end; its id, None when there is none to take.

    Safe beside itself, and when it is cut off at any moment: the run is due again when its lease ends and goes on after
    the last batch that was committed. A fault of the run itself is kept with it, and it can be retried.
    """
    async with services.db.transaction(tenant) as tx:
        row = await run_queries.take(tx, run_id=run_id, seconds=leases.LEASE_SECONDS)
        pack = await current_pack(tx)
    if row is None:
        return None
    run = Run(services, storage, tenant, pack, row, stopping)
    try:
        if row["attempts"] > run_queries.QUEUE.tries:
            raise RunFailed(leases.CUT_OFF)
        async with run.alive():
            await _work(run)
    except LostLease:
        log.warning("pipeline_lease_lost", tenant=tenant.slug, run=str(run.id))
    except Stopped:
        async with services.db.transaction(tenant) as tx:
            await leases.give_back(tx, run_queries.QUEUE, row)
    except OperationalError:
        raise  # the database, not the run: it is due again when its lease ends
    except (RunFailed, Problem) as error:
        await _fail(run, str(error))
    except Exception as error:
        log.error("pipeline_failed", tenant=tenant.slug, run=str(run.id), step=run.step, exc_info=error)
        await _fail(run, f"{type(error).__name__}: {error}")
    return run.id


async def _work(run: Run) -> None:
    while True:
        step = run.step
        await STEPS[step](run)
        if run.step == step:
            break
    async with run.services.db.transaction(run.tenant) as tx:
        held = await run_queries.done(tx, run.id, run.row["attempts"], at=clock.now())
        if not held:
            raise LostLease
        await staging.clear(tx, run.id)
    # What people wrote is kept once; the files go with the run's end.
    await drop(run.storage, [file for file in run.row["files"] if file["field"] != "attachments"])


async def _fail(run: Run, error: str) -> None:
    async with run.services.db.transaction(run.tenant) as tx:
        await leases.park(tx, run_queries.QUEUE, run.row, error, now=clock.now())
