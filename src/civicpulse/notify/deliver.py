"""Brings waiting e-mails and SMS out: in batches that no two workers share, at least once, with growing pauses."""

import asyncio
from datetime import timedelta

from civicpulse.base import clock
from civicpulse.base.clients.senders import Message, Sender, SendFailed
from civicpulse.base.db import Row, Tx
from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.notify import queries
from civicpulse.notify.reactions import track_path

log = get_logger(__name__)

BATCH = 50
# The pause after each failed try; after the last one the notification is given up, with its error.
PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=4))
NO_CONTACT = "the recipient has no such contact any more"


async def deliver_all(services: Services, sender: Sender) -> int:
    """Sends what is due of every tenant; how many it tried. Safe to run in many workers at once."""
    waiting = await services.db.tenants_with_work(queries.WAITING_TENANTS)
    tried = 0
    for tenant_id in waiting:
        tenant = await services.tenants.by_id(tenant_id)
        while tenant is not None:
            async with services.db.transaction(tenant) as tx:
                count = await deliver_pending(tx, sender, public_url=services.settings.public_url)
            tried += count
            if count < BATCH:
                break
    return tried


async def deliver_pending(tx: Tx, sender: Sender, *, public_url: str = "") -> int:
    """Sends up to BATCH due messages of one tenant and writes down how each went; how many it tried.

    `public_url` goes before the links in the texts. A crash between sending and commit sends again: at least once.
    """
    due = await queries.take_due(tx, now=clock.now(), most=BATCH)
    if due:
        errors = await asyncio.gather(*(_send(tx, sender, row, public_url) for row in due))
        await queries.settle(tx, [_outcome(row, error) for row, error in zip(due, errors, strict=True)])
    return len(due)


async def _send(tx: Tx, sender: Sender, row: Row, public_url: str) -> str | None:
    """None when the message left, else why not."""
    if row["contact"] is None:
        return NO_CONTACT
    body = row["body"]
    if public_url and row["number"]:
        path = track_path(tx, row["number"], token_of=None)
        body = body.replace(path, public_url.rstrip("/") + path)
    try:
        await sender.send(Message(row["channel"], row["contact"], row["title"], body))
    except SendFailed as error:
        return str(error)
    except Exception as error:  # one broken message must not undo what was sent beside it
        log.error("sender_broke", notification=str(row["id"]), exc_info=error)
        return f"{type(error).__name__}: {error}"[:500]
    return None


def _outcome(row: Row, error: str | None) -> Row:
    now = clock.now()
    is_last = error == NO_CONTACT or row["attempts"] >= len(PAUSES)
    if error is not None:
        log.warning(
            "notification_not_sent", notification=str(row["id"]), channel=row["channel"], error=error, last=is_last
        )
    return {
        "id": row["id"],
        "sent_at": now if error is None else None,
        "error": error,
        "next_try_at": None if error is None or is_last else now + PAUSES[row["attempts"]],
    }
