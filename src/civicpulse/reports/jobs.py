"""The worker's share: batches of reports are read outside any transaction, then each becomes a request in one of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias
from uuid import UUID
from zlib import crc32

from civicpulse.base.clients.llm import MOST_AT_ONCE
from civicpulse.base.db import Row, is_outage
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.intake.placing import geocode_reports, place_report
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.places.place import Place
from civicpulse.reports import queries
from civicpulse.reports.actions import open_request
from civicpulse.rules.addresses import place_key
from civicpulse.triage.analysis import Analysis, ReportText
from civicpulse.triage.analyst import analyse_batch

log = get_logger(__name__)

BATCH: Final = 200
LLM_BATCH: Final = 25  # a language model is slow, and what comes later waits for the batch
LEASE_SECONDS: Final = 120.0
MOST_TRIES: Final = 8
LANES: Final = 4  # reports of one tenant settled at once, a connection each
MOST_TENANTS: Final = 4  # worked for at once: with their lanes as many as a pool of usual size has
BATCHES_IN_TURN: Final = 5  # then another tenant may have the place
REST_SECONDS: Final = 2.0  # after a failure that was not one report's own

Read: TypeAlias = tuple[Row, Analysis | Exception]  # a report, and what was understood of it or why nothing was

CUT_OFF = "Given up: the worker ended in the middle of each try."


async def process_reports(services: Services) -> int:
    """Works off the due reports of every tenant once; how many. For commands and tests: the worker has a Desk."""
    done = 0
    for tenant_id in await _waiting(services):
        tenant = await services.tenants.by_id(tenant_id)
        while tenant is not None and (count := await process_batch(services, tenant)):
            done += count
    return done


async def process_batch(services: Services, tenant: Tenant) -> int:
    """Takes up to a batch of due reports, reads them, and makes each a request; how many it took.

    One fault costs one report. Safe beside itself, and when it is cut off at any moment: what was taken is due again
    when its lease ends, and what is processed is not processed again.
    """
    most, lease_seconds = _measure(services)
    async with services.db.transaction(tenant) as tx:
        pack = await current_pack(tx)
        taken = await queries.take(tx, most=most, lease_seconds=lease_seconds)
    reports = [report for report in taken if report["attempts"] <= MOST_TRIES]
    for report in taken:
        if report["attempts"] > MOST_TRIES:
            await _put_back(services, tenant, report, CUT_OFF)
    readings = await _read(services, tenant, pack, reports)
    found = await _geocode(services, tenant, reports)

    async def work_lane(lane: list[Read]) -> None:
        # One transaction each, not one for all: they hold the locks of their places, which the web takes in another order.
        for report, reading in lane:
            await _settle(services, tenant, pack, report, reading, found)

    async with asyncio.TaskGroup() as group:
        for lane in lanes(list(zip(reports, readings, strict=True))):
            group.create_task(work_lane(lane))
    return len(taken)


def _measure(services: Services) -> tuple[int, float]:
    """How many reports to take, and for how many seconds: a batch must not outlast its lease."""
    settings = services.settings
    if not (settings.llm_url or settings.llm_key):
        return BATCH, LEASE_SECONDS
    return LLM_BATCH, LEASE_SECONDS + LLM_BATCH / MOST_AT_ONCE * settings.llm_timeout_seconds


def lanes(read: Sequence[Read]) -> list[list[Read]]:
    """What may be settled side by side: reports that may be twins are in one lane, in their order, so that the oldest is the master."""
    found: list[list[Read]] = [[] for _ in range(LANES)]
    for report, reading in read:
        category = reading.category if isinstance(reading, Analysis) else ""
        found[crc32(f"{category} {_about_where(report)}".encode()) % LANES].append((report, reading))
    return [lane for lane in found if lane]


def _about_where(report: Row) -> str:
    location = report["location"]
    if isinstance(location, dict):
        lon, lat = location["coordinates"][:2]
        return f"{lon:.1f} {lat:.1f}"  # some kilometres: a border through it costs order, nothing else
    return place_key(location) or report["asset_id"] or str(report["id"])  # without a place nobody is a twin


async def _read(
    services: Services, tenant: Tenant, pack: Pack, reports: Sequence[Row]
) -> Sequence[Analysis | Exception]:
    """An analysis for each report; when the batch cannot be read as a whole, each for itself."""
    texts = [ReportText(report["description"], tuple(report["tags"])) for report in reports]
    try:
        return await analyse_batch(services, tenant, pack, texts)
    except Exception as error:
        if is_outage(error):
            raise
        log.warning("batch_not_read", tenant=tenant.slug, reports=len(reports), exc_info=error)
    return [await _read_one(services, tenant, pack, text) for text in texts]


async def _read_one(services: Services, tenant: Tenant, pack: Pack, text: ReportText) -> Analysis | Exception:
    try:
        (analysis,) = await analyse_batch(services, tenant, pack, [text])
    except Exception as error:
        if is_outage(error):
            raise
        log.warning("report_not_read", tenant=tenant.slug, exc_info=error)
        return error
    return analysis


async def _geocode(services: Services, tenant: Tenant, reports: Sequence[Row]) -> Mapping[UUID, Place]:
    """Places of those that have an address in words; none when the search fails, for a place is good to have and no more."""
    if not any(isinstance(report["location"], str) for report in reports):
        return {}
    try:
        async with services.db.transaction(tenant) as tx:
            return await geocode_reports(tx, reports, online=services.geocoder)
    except Exception as error:
        if is_outage(error):
            raise
        log.warning("reports_not_geocoded", tenant=tenant.slug, exc_info=error)
        return {}


async def _settle(
    services: Services,
    tenant: Tenant,
    pack: Pack,
    report: Row,
    reading: Analysis | Exception,
    found: Mapping[UUID, Place],
) -> None:
    try:
        if isinstance(reading, Exception):
            raise reading
        async with services.db.transaction(tenant) as tx:
            await open_request(tx, report, reading, await place_report(tx, pack, report, found))
    except Exception as error:
        if is_outage(error):
            raise  # not this report's fault: all that are left come back when their lease ends
        log.warning("report_failed", tenant=tenant.slug, report=str(report["id"]), exc_info=error)
        await _put_back(services, tenant, report, f"{type(error).__name__}: {error}"[:2000])


async def _put_back(services: Services, tenant: Tenant, report: Row, error: str) -> None:
    async with services.db.transaction(tenant) as tx:
        # PostgreSQL's text holds no NUL, whatever an error says.
        state = await queries.put_back(tx, report["id"], error=error.replace("\x00", ""), most=MOST_TRIES)
    if state == "parked":
        log.error("report_parked", tenant=tenant.slug, report=str(report["id"]), error=error)


async def _waiting(services: Services) -> list[UUID]:
    return await services.db.tenants_with_work(queries.WAITING_TENANTS)


class Desk:
    """Works for several tenants at once, a task for each, so that one whose language model hangs holds up nobody else."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._at_work: dict[UUID, asyncio.Task[None]] = {}
        self._turns: dict[UUID, int] = {}
        self._closing = False

    async def step(self) -> int:
        """Begins with each tenant that has due reports, as far as there is a place; how many it has begun with."""
        begun = 0
        for tenant_id in sorted(await _waiting(self._services), key=lambda waiting: self._turns.get(waiting, 0)):
            if tenant_id not in self._at_work and len(self._at_work) < MOST_TENANTS:
                self._turns[tenant_id] = max(self._turns.values(), default=0) + 1
                self._at_work[tenant_id] = asyncio.create_task(self._work(tenant_id))
                begun += 1
        return begun

    async def close(self) -> None:
        """Waits until each has finished the batch that it holds."""
        self._closing = True
        await asyncio.gather(*self._at_work.values())

    async def _work(self, tenant_id: UUID) -> None:
        try:
            tenant = await self._services.tenants.by_id(tenant_id)
            for _ in range(BATCHES_IN_TURN):
                if tenant is None or self._closing or not await process_batch(self._services, tenant):
                    break
        except Exception as error:  # one tenant's fault must not stop the others
            log.error("inbox_failed", tenant=str(tenant_id), exc_info=error)
            if not self._closing:
                await asyncio.sleep(REST_SECONDS)
        finally:
            del self._at_work[tenant_id]


@asynccontextmanager
async def open_desk(services: Services) -> AsyncIterator[Desk]:
    """A desk that finishes what it holds at the end of the block."""
    desk = Desk(services)
    try:
        yield desk
    finally:
        await desk.close()
