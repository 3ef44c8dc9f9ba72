"""The worker's share of this room: chains (`chain_line`), and checkpoints by the clock."""

import asyncio
import urllib.request
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit
from urllib.request import HTTPDefaultErrorHandler, HTTPErrorProcessor, HTTPHandler, HTTPSHandler

from prometheus_client import Gauge

from civicpulse.audit.chain import extend
from civicpulse.audit.checkpoints import Checkpoint, publish, sign
from civicpulse.audit.keys import Keyring, NoKey
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Database
from civicpulse.base.log import get_logger
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, timer

log = get_logger(__name__)

WAITING: Final = Gauge("civicpulse_audit_chain_wait_seconds", "How long the oldest event waits for its tenant's chain")
AGE: Final = Gauge(
    "civicpulse_audit_checkpoint_age_seconds", "Age of the last checkpoint, of the tenant signed longest ago"
)

MEASURE: Final = "SELECT waiting_since, checkpoint_at FROM gate_chain()"

WITNESS_SECONDS: Final = 10.0


async def measure(db: Database) -> None:
    """Reads the two gauges: for whoever is asked for figures."""
    async with db.gate() as conn:
        row = await (await conn.execute(MEASURE)).fetchone()
    now = clock.wall()
    for gauge, since in zip((WAITING, AGE), row or (None, None), strict=True):
        gauge.set(max(0.0, (now - since).total_seconds()) if since else 0.0)


class Notary:
    """Signs checkpoints and hands them to the places outside: the file store, the log, and a second party if one is set."""

    def __init__(self, db: Database, storage: Storage, keyring: Keyring, *, witness_url: str = "") -> None:
        self._db, self._storage, self._keyring, self._witness = db, storage, keyring, witness_url

    async def checkpoint(self, tenant: Tenant, *, anyway: bool = False) -> Checkpoint | None:
        """Chains what waits, signs, and publishes; None where there was nothing to sign. Raises NoKey.

        What is signed stays signed when a place outside does not take it: the log says so, and verifying does.
        """
        key = self._keyring.current()
        while True:
            async with self._db.transaction(tenant) as tx:
                taken = await extend(tx)
            if not taken:
                break
        async with self._db.transaction(tenant) as tx:
            checkpoint = await sign(tx, key, anyway=anyway)
        if checkpoint is not None:
            await self._publish(tenant, checkpoint)
        return checkpoint

    async def _publish(self, tenant: Tenant, checkpoint: Checkpoint) -> None:
        log.info("checkpoint", tenant=tenant.slug, signature=checkpoint.signature, body=checkpoint.text.decode())
        try:
            await publish(self._storage, checkpoint, self._keyring)
        except Exception as error:  # whatever the store's client raises
            log.error("checkpoint_not_stored", tenant=tenant.slug, number=checkpoint.number, exc_info=error)
        if self._witness:
            await self._tell_witness(checkpoint)

    async def _tell_witness(self, checkpoint: Checkpoint) -> None:
        try:
            await asyncio.to_thread(post, self._witness, checkpoint.document())
        except (OSError, ValueError) as error:
            log.error("checkpoint_not_witnessed", number=checkpoint.number, error=str(error))


def post(url: str, document: bytes) -> None:
    """Posts a document to the second party, once, and nowhere else: a redirect is refused. Raises OSError when it is not taken."""
    request = urllib.request.Request(check_witness(url), document, {"Content-Type": "application/json"}, method="POST")  # noqa: S310
    opener = urllib.request.OpenerDirector()
    for handler in (HTTPHandler(), HTTPSHandler(), HTTPErrorProcessor(), HTTPDefaultErrorHandler()):
        opener.add_handler(handler)
    with opener.open(request, timeout=WITNESS_SECONDS):
        return


def check_witness(url: str) -> str:
    """Checks the address of the second party. Raises ValueError for one that is not https: a checkpoint could be swapped on its way."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError(f"CIVICPULSE_AUDIT_WITNESS_URL must begin with https://, not {url!r}")
    return url


def checkpoints_timer(db: Database, notary: Notary, *, minutes: float) -> Line:
    """Signs a tenant's chain by the clock."""

    async def work(tenant: Tenant) -> None:
        try:
            await notary.checkpoint(tenant)
        except NoKey as error:
            log.warning("no_checkpoint", tenant=tenant.slug, reason=str(error))

    return timer(db, "checkpoints", work, every=timedelta(minutes=minutes))
