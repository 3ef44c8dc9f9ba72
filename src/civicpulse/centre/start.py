"""Beginning a run, and waiting for the end of one that the caller waits for."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from fastapi import UploadFile

from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Invalid, NotFound
from civicpulse.base.events import Actor
from civicpulse.base.idempotency import once
from civicpulse.base.ids import new_id
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.centre import run_queries
from civicpulse.centre.documents import is_over
from civicpulse.centre.incoming import TABLES, drop, keep, look_through
from civicpulse.centre.runner import run_next
from civicpulse.packs.model import Pack
from civicpulse.places.offices import list_offices
from civicpulse.requests.assignment.bulk import count_managers

HEAD_START_SECONDS: Final = 10.0  # in which no worker takes a run that a caller waits for
PATIENCE_SECONDS: Final = 30.0  # for another run of the tenant to end
LOOK_SECONDS: Final = 0.2


def check_pack(pack: Pack) -> None:
    """Raises Conflict for a tenant whose pack knows neither the files nor a distribution over offices."""
    if pack.distribution is None or not pack.document.csv_columns.keys() >= set(TABLES):
        raise Conflict(
            f"“{pack.document.title}” has no CSV pipeline: that takes a section of CSV columns and an assignment over "
            "offices, as the contact centre's pack has.",
            code="no_pipeline",
        )


async def check_complete(tx: Tx, tables: Mapping[str, UploadFile]) -> None:
    """Raises Invalid naming each file that must come; offices and managers may be left out once there are some."""
    missing = {"tickets": "the tickets"} if "tickets" not in tables else {}
    if "business_units" not in tables and not await list_offices(tx):
        missing["business_units"] = "the offices, as this tenant has none yet"
    if "managers" not in tables and not await count_managers(tx):
        missing["managers"] = "the managers, as this tenant has none yet"
    if missing:
        errors = [
            {"field": name, "detail": f"Send {what} as a CSV file in the field {name}."}
            for name, what in missing.items()
        ]
        words = ", ".join(f"{name} ({what})" for name, what in missing.items())
        raise Invalid(f"Nothing was loaded: these files are missing: {words}.", code="missing_file", errors=errors)


async def begin_upload(
    services: Services,
    storage: Storage,
    tenant: Tenant,
    actor: Actor,
    pack: Pack,
    tables: Mapping[str, UploadFile],
    attachments: Sequence[UploadFile],
    *,
    key: str | None,
    head_start: bool,
) -> tuple[UUID, bool]:
    """Keeps the files and a run that waits; its id, and whether the same key began it before.

    Raises Invalid before anything is written. No transaction is open while files are read and stored.
    """
    received = await look_through(services.processes, tenant, pack, tables, attachments)
    run_id = new_id()
    files, faults = await keep(storage, tenant.tenant_id, run_id, received, language=pack.document.language)
    body = ["upload", *([one.field, one.name, one.sha256] for one in received)]
    run = {"files": files, "options": {}, "errors": [fault.to_json() for fault in faults]}
    try:
        async with services.db.transaction(tenant) as tx:
            found, replayed = await _begin(tx, actor, run_id, "upload", run, key=key, body=body, head_start=head_start)
    except BaseException:
        await drop(storage, files)
        raise
    if replayed:
        await drop(storage, files)
    return found, replayed


async def begin_process(
    services: Services, tenant: Tenant, actor: Actor, *, every: bool, key: str | None, head_start: bool
) -> tuple[UUID, bool]:
    """Begins a run over what is here; its id, and whether the same key began it before."""
    run: dict[str, Any] = {"files": [], "options": {"all": every}, "errors": []}
    async with services.db.transaction(tenant) as tx:
        body = ["process", every]
        return await _begin(tx, actor, new_id(), "process", run, key=key, body=body, head_start=head_start)


async def _begin(
    tx: Tx,
    actor: Actor,
    run_id: UUID,
    kind: str,
    run: Mapping[str, Any],
    *,
    key: str | None,
    body: list[Any],
    head_start: bool,
) -> tuple[UUID, bool]:
    async def create() -> dict[str, Any]:
        due_in = HEAD_START_SECONDS if head_start else 0.0
        await run_queries.add_run(tx, run_id, kind=kind, by=actor.key, at=clock.now(), due_in=due_in, **run)
        return {"run_id": str(run_id)}

    answer, replayed = await once(tx, scope=f"pipeline:{actor.key}", key=key, body=body, create=create)
    return UUID(answer["run_id"]), replayed


async def finish(services: Services, storage: Storage, tenant: Tenant, run_id: UUID) -> Row:
    """Works on the run to its end, here; the run, which is not over when another of the tenant took too long."""
    patient_until = time.monotonic() + PATIENCE_SECONDS
    while True:
        await run_next(services, storage, tenant, run_id=run_id)
        row = await get_run(services, tenant, run_id)
        if is_over(row) or time.monotonic() > patient_until:
            return row
        await asyncio.sleep(LOOK_SECONDS)


async def get_run(services: Services, tenant: Tenant, run_id: UUID) -> Row:
    """Reads the run in a transaction of its own. Raises NotFound."""
    async with services.db.transaction(tenant) as tx:
        row = await run_queries.find_run(tx, run_id)
    if row is None:
        raise run_not_found(run_id)
    return row


def run_not_found(run_id: object) -> NotFound:
    """Makes the one answer for a run that is absent and for another tenant's."""
    return NotFound(f"There is no pipeline run {run_id} here.", code="run_not_found")
