"""Brings waiting e-mails and SMS out: under a lease, each settled as it leaves, with growing pauses after a failure."""

import asyncio
from typing import Final

from prometheus_client import Counter

from civicpulse.base import clock, leases
from civicpulse.base.clients.senders import Message, Sender, SendFailed
from civicpulse.base.db import Row
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, work_off
from civicpulse.notify import queries
from civicpulse.notify.queries import QUEUE
from civicpulse.notify.reactions import track_path

log = get_logger(__name__)

MESSAGES: Final = Counter(
    "civicpulse_messages_total", "Tries to send an e-mail or SMS: sent, failed, given_up", ["channel", "outcome"]
)

BATCH: Final = 50
AT_ONCE: Final = 10
NO_CONTACT: Final = "the recipient has no such contact any more"


def delivery_line(services: Services, sender: Sender) -> Line:
    """Makes the worker's line of notifications."""

    async def work(tenant: Tenant) -> int:
        return await deliver_pending(services, tenant, sender)

    return Line(QUEUE.name, work)


async def deliver_all(services: Services, sender: Sender) -> int:
    """Sends what is due of every tenant; how many it tried. For commands and tests."""
    return await work_off(services.db, services.tenants, delivery_line(services, sender))


async def deliver_pending(services: Services, tenant: Tenant, sender: Sender) -> int:
    """Sends up to BATCH due messages of one tenant; how many it tried.

    Each is settled as soon as the service has taken it: a worker that is killed in the middle sends again only what was under
    way, and with the id that it had the first time, by which a service can tell.
    """
    async with services.db.transaction(tenant) as tx:
        due = await leases.take(tx, QUEUE, limit=BATCH, seconds=leases.LEASE_SECONDS, now=clock.now())
        for row in due:
            row["path"] = track_path(tx, row["number"], token_of=None) if row["number"] else ""
    places = asyncio.Semaphore(AT_ONCE)
    async with leases.holding(services.db, tenant, QUEUE, due, now=clock.now), asyncio.TaskGroup() as group:
        for row in due:
            group.create_task(_deliver(services, tenant, sender, row, places))
    return len(due)


async def _deliver(services: Services, tenant: Tenant, sender: Sender, row: Row, places: asyncio.Semaphore) -> None:
    async with places:
        error = leases.CUT_OFF if row["attempts"] > QUEUE.tries else await _send(services, sender, row)
        now = clock.now()
        async with services.db.transaction(tenant) as tx:
            if error is None:
                await queries.sent(tx, row["id"], at=now)
                MESSAGES.labels(row["channel"], "sent").inc()
                return
            if error == NO_CONTACT:
                await leases.park(tx, QUEUE, row, error, now=now)
                is_last = True
            else:
                is_last = await leases.retry_later(tx, QUEUE, row, error, now=now)
    MESSAGES.labels(row["channel"], "given_up" if is_last else "failed").inc()
    log.warning("notification_not_sent", notification=str(row["id"]), channel=row["channel"], error=error, last=is_last)


async def _send(services: Services, sender: Sender, row: Row) -> str | None:
    """Sends a message; None when it left, else why not. The server's public address goes before the links in the text."""
    if row["contact"] is None:
        return NO_CONTACT
    body, public_url = row["body"], services.settings.public_url
    if public_url and row["path"]:
        body = body.replace(row["path"], public_url.rstrip("/") + row["path"])
    try:
        await sender.send(Message(row["channel"], row["contact"], row["title"], body, id=str(row["id"])))
    except SendFailed as error:
        return str(error)
    except Exception as error:  # one broken message must not undo what was sent beside it
        log.error("sender_broke", notification=str(row["id"]), exc_info=error)
        return f"{type(error).__name__}: {error}"
    return None
