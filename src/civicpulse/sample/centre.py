"""The sample contact centre: three nights of tickets through the CSV pipeline, and days in which managers answer them."""

import io
from datetime import datetime, timedelta
from random import Random
from typing import Any

from fastapi import UploadFile

from civicpulse.accounts.callers import Caller
from civicpulse.accounts.roles import actor_as
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Row
from civicpulse.base.events import SYSTEM, Actor
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.centre.start import begin_upload, finish
from civicpulse.packs.store import current_pack
from civicpulse.people import agents
from civicpulse.people.schemas import AgentIn
from civicpulse.requests import actions
from civicpulse.sample.centre_files import staff_files, tickets_file
from civicpulse.sample.tenant import forget_outbox, found_tenant, log_in

SLUG, NAME, SEED = "steppe-invest", "Steppe Invest", 1991
TIMEZONE = "Asia/Almaty"
NIGHTS = (3.4, 2.4, 0.4)  # days before the end
TICKETS = 300
SPAM_IS_CLOSED = 0.9
# Hours from the file to the answer, medians by priority; who writes last is not answered yet.
ANSWER_HOURS = {"P1": 2.0, "P2": 7.0, "P3": 15.0, "P4": 30.0}

STAFF = (("CC-01", "Салтанат Ибраева", "admin"), ("CC-02", "Олег Ткач", "dispatcher"))

ASSIGNED = """
SELECT r.number, r.category, r.priority, r.assigned_agent_id FROM requests r
WHERE r.tenant_id = %(tenant_id)s AND r.status = 'assigned' ORDER BY r.external_id
"""


async def build_centre(services: Services, storage: Storage, *, until: datetime, scale: float = 1.0) -> dict[str, Any]:
    """Makes the tenant `steppe-invest`; {"tenant", "name", "tokens"}. The same seed and end give the same tickets."""
    rng = Random(SEED)  # noqa: S311 - it decides what people write
    tenant = await found_tenant(services, slug=SLUG, name=NAME, kind="company", pack="contact_centre")
    with clock.at(until - timedelta(days=30)):
        desk = await _hire(services, tenant)
    offices, managers = staff_files(rng)
    for number, days in enumerate(NIGHTS):
        tables = {"tickets": tickets_file(rng, many=round(TICKETS * scale / len(NIGHTS)))}
        if number == 0:
            tables |= {"business_units": offices, "managers": managers}
        night = until - timedelta(days=days)
        with clock.at(night):
            await _load(services, storage, tenant, desk["dispatcher"], tables)
        await _answer(services, tenant, rng, night, until, desk["dispatcher"])
    async with services.db.transaction(tenant) as tx:
        await forget_outbox(tx)
        manager = await tx.row(ASSIGNED, {"tenant_id": tx.tenant_id})
        tokens = [
            await log_in(tx, desk[role], f"{name}, {code}")
            for code, name, role in STAFF
        ]  # fmt: skip
        if manager is not None:
            who = await actor_as(tx, "agent", manager["assigned_agent_id"])
            tokens.append(await log_in(tx, who, "a manager with open tickets"))
    return {"tenant": SLUG, "name": NAME, "tokens": tokens}


async def _hire(services: Services, tenant: Tenant) -> dict[str, Actor]:
    """The people who send the files, by role; they belong to no office and get no tickets."""
    desk: dict[str, Actor] = {}
    async with services.db.transaction(tenant) as tx:
        caller = Caller(tx, SYSTEM, None, None, None)
        for code, name, role in STAFF:
            wanted = AgentIn.model_validate(
                {
                    "agent_code": code,
                    "name": name,
                    "department": "Контакт-центр",
                    "skills": [],
                    "coverage": {"zone_ids": []},
                    "schedule": {"timezone": TIMEZONE, "shifts": [], "on_call": False},
                    "roles": ["agent", role],
                }
            )
            made = await agents.create(caller, wanted)
            desk[role] = await actor_as(tx, role, made["_id"])
    return desk


async def _load(services: Services, storage: Storage, tenant: Tenant, actor: Actor, tables: dict[str, str]) -> None:
    """One night's files through the product's own pipeline."""
    uploads = {
        field: UploadFile(io.BytesIO(text.encode("utf-8-sig")), filename=f"{field}.csv")
        for field, text in tables.items()
    }
    async with services.db.transaction(tenant) as tx:
        pack = await current_pack(tx)
    run_id, _ = await begin_upload(services, storage, tenant, actor, pack, uploads, [], key=None, head_start=True)
    row = await finish(services, storage, tenant, run_id)
    assert row["state"] == "done", row["last_error"]


async def _answer(
    services: Services, tenant: Tenant, rng: Random, night: datetime, until: datetime, desk: Actor
) -> None:
    """What managers do with the night's tickets before the end."""
    async with services.db.transaction(tenant) as tx:
        rows = await tx.rows(ASSIGNED, {"tenant_id": tx.tenant_id})
    for row in rows:
        done = night + timedelta(hours=6 + ANSWER_HOURS[row["priority"]] * rng.lognormvariate(0, 0.7))
        if done < until:
            await _settle(services, tenant, rng, row, (night, done), desk)


async def _settle(
    services: Services, tenant: Tenant, rng: Random, row: Row, span: tuple[datetime, datetime], desk: Actor
) -> None:
    number, (night, done) = row["number"], span
    async with services.db.transaction(tenant) as tx:
        worker = await actor_as(tx, "agent", row["assigned_agent_id"])
        if row["category"] == "spam" and rng.random() < SPAM_IS_CLOSED:
            with clock.at(done):
                await actions.transition(tx, desk, number, to="closed", fields={"reason": "Спам"})
            return
        with clock.at(done - (done - night) * 0.4):
            await actions.transition(tx, worker, number, to="in_progress", fields={})
        with clock.at(done):
            await actions.transition(tx, worker, number, to="resolved", fields={})
