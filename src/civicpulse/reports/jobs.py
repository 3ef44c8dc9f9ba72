"""The worker's share: batches of reports are read outside any transaction, then each becomes a request in one of its own."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from uuid import UUID
from zlib import crc32

from civicpulse.base import leases
from civicpulse.base.db import Row, is_outage
from civicpulse.base.log import get_logger
from civicpulse.base.processes import TookTooLong
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, work_off
from civicpulse.intake.placing import geocode_reports, place_report
from civicpulse.packs.model import Pack
from civicpulse.packs.store import current_pack
from civicpulse.places.place import Place
from civicpulse.reports.actions import open_request
from civicpulse.reports.queries import QUEUE
from civicpulse.rules.addresses import place_key
from civicpulse.triage.analysis import Analysis, ReportText
from civicpulse.triage.analyst import analyse_each

log = get_logger(__name__)

BATCH: Final = 200
LLM_BATCH: Final = 25  # a language model is slow, and what comes later waits for the batch
LANES: Final = 4  # reports of one tenant settled at once, a connection each
TENANTS: Final = 4  # worked for at once: with their lanes as many as a pool of usual size has

Read: TypeAlias = tuple[Row, Analysis | Exception]  # a report, and what was understood of it or why nothing was


def reports_line(services: Services) -> Line:
    """Makes the worker's line of reports."""

    async def work(tenant: Tenant) -> int:
        return await process_batch(services, tenant)

    return Line(QUEUE.name, work, places=TENANTS)


async def process_reports(services: Services) -> int:
    """Works off the due reports of every tenant once; how many. For commands and tests."""
    return await work_off(services.db, services.tenants, reports_line(services))


async def process_batch(services: Services, tenant: Tenant) -> int:
    """Takes up to a batch of due reports, reads them, and makes each a request; how many it took.

    One fault costs one report. Safe beside itself, and when it is cut off at any moment: what was taken is due again
    when its lease ends, and what is processed is not processed again.
    """
    async with services.db.transaction(tenant) as tx:
        pack = await current_pack(tx)
        taken = await leases.take(tx, QUEUE, limit=_measure(services), seconds=leases.LEASE_SECONDS)
    async with leases.holding(services.db, tenant, QUEUE, taken):
        await _work_on(services, tenant, pack, taken)
    return len(taken)


async def _work_on(services: Services, tenant: Tenant, pack: Pack, taken: Sequence[Row]) -> None:
    for report in leases.worn_out(QUEUE, taken):
        await _put_back(services, tenant, report, leases.CUT_OFF)
    reports = [report for report in taken if report["attempts"] <= QUEUE.tries]
    texts = [ReportText(report["description"], tuple(report["tags"])) for report in reports]
    readings = await analyse_each(services, tenant, pack, texts)
    found = await _geocode(services, tenant, reports)

    async def work_lane(lane: list[Read]) -> None:
        # One transaction each, not one for all: they hold the locks of their places, which the web takes in another order.
        for report, reading in lane:
            await _settle(services, tenant, pack, report, reading, found)

    async with asyncio.TaskGroup() as group:
        for lane in lanes(list(zip(reports, readings, strict=True))):
            group.create_task(work_lane(lane))


def _measure(services: Services) -> int:
    """Decides how many reports to take."""
    return LLM_BATCH if services.settings.llm_url or services.settings.llm_key else BATCH


def lanes(read: Sequence[Read]) -> list[list[Read]]:
    """Sorts reports into lanes that may be settled side by side: those that may be duplicates into one, in their order, the master first."""
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
    return place_key(location) or report["asset_id"] or str(report["id"])  # without a place nothing is a duplicate


async def _geocode(services: Services, tenant: Tenant, reports: Sequence[Row]) -> Mapping[UUID, Place]:
    """Finds the places of those that have an address in words; none when the search fails, for a place is good to have and no more."""
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
        if isinstance(reading, TookTooLong):
            await _park(services, tenant, report, f"The text could not be read: {reading}.")
            return
        if isinstance(reading, Exception):
            raise reading
        async with services.db.transaction(tenant) as tx:
            await open_request(tx, pack, report, reading, await place_report(tx, pack, report, found))
    except Exception as error:
        if is_outage(error):
            raise  # not this report's fault: all that are left come back when their lease ends
        log.warning("report_failed", tenant=tenant.slug, report=str(report["id"]), exc_info=error)
        await _put_back(services, tenant, report, f"{type(error).__name__}: {error}")


async def _park(services: Services, tenant: Tenant, report: Row, error: str) -> None:
    """Parks a report without further tries: they would take as long."""
    async with services.db.transaction(tenant) as tx:
        await leases.park(tx, QUEUE, report, error)
    log.error("report_parked", tenant=tenant.slug, report=str(report["id"]), error=error)


async def _put_back(services: Services, tenant: Tenant, report: Row, error: str) -> None:
    async with services.db.transaction(tenant) as tx:
        is_parked = await leases.retry_later(tx, QUEUE, report, error)
    if is_parked:
        log.error("report_parked", tenant=tenant.slug, report=str(report["id"]), error=error)
