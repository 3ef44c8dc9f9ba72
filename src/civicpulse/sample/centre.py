"""The sample contact centre: nights of tickets through the CSV pipeline, and days in which managers answer them."""

import io
from datetime import datetime, timedelta

from fastapi import UploadFile

from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Tx
from civicpulse.base.events import Actor
from civicpulse.base.services import Services
from civicpulse.centre.start import begin_upload, finish
from civicpulse.sample.centre_files import staff_files, tickets_file
from civicpulse.sample.engine import Life
from civicpulse.sample.handling import handling_life
from civicpulse.sample.staff import acting
from civicpulse.sample.world import World

ASSIGNED = """
SELECT r.id, r.number, r.category, r.priority, r.needs_person, r.assigned_agent_id FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.status = 'assigned' ORDER BY r.external_id
"""


class CentreWorld(World):
    """The contact centre; its tickets come in files."""

    def __init__(self, services: Services, *, until: datetime, scale: float) -> None:
        super().__init__("centre", services, until=until, scale=scale)
        self.storage = Storage(services.settings.storage_url)
        self.offices, self.managers = staff_files(self.told.files, self.rng)
        self.known = set[object]()

    def begin(self) -> None:
        """Starts a life for each night."""
        nights = self.told.files.nights
        for number, days in enumerate(nights):
            tables = {"tickets": tickets_file(self.told, self.rng, many=round(self.many / len(nights)))}
            if number == 0:
                tables |= {"business_units": self.offices, "managers": self.managers}
            self.engine.start(self.until - timedelta(days=days), night_life(self, tables))

    async def somebody(self, tx: Tx, who: str) -> tuple[Actor, str] | None:
        """Finds a manager with open tickets."""
        manager = await tx.row(ASSIGNED, {"tenant_id": tx.tenant_id}) if who == "manager" else None
        return (
            (acting(self.pack, "agent", manager["assigned_agent_id"]), "a manager with open tickets")
            if manager
            else None
        )


async def night_life(world: CentreWorld, tables: dict[str, str]) -> Life:
    """Sends one night's files through the product's own pipeline, and lets managers work on its tickets."""
    async with world.engine.apart():
        await _load(world, tables)
    for row in await world.tx.rows(ASSIGNED, {"tenant_id": world.tx.tenant_id}):
        if row["id"] not in world.known:
            world.known.add(row["id"])
            world.engine.start(clock.now(), handling_life(world, world.told.handling, row))
    return
    yield  # a life is a generator, though the pipeline takes no time of the simulation


async def _load(world: CentreWorld, tables: dict[str, str]) -> None:
    uploads = {
        field: UploadFile(io.BytesIO(text.encode("utf-8-sig")), filename=f"{field}.csv")
        for field, text in tables.items()
    }
    (sender,), tenant = world.staff.of_role("dispatcher"), world.tx.tenant
    run_id, _ = await begin_upload(
        world.services, world.storage, tenant, sender.actor, world.pack, uploads, [], key=None, head_start=True
    )
    row = await finish(world.services, world.storage, tenant, run_id)
    assert row["state"] == "done", row["last_error"]
