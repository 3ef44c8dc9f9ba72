"""Checkpoints: how far a tenant's chain is, signed, numbered and each bound to the one before; kept outside the database."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from civicpulse.audit.chain import HEAD
from civicpulse.audit.keys import Key, Keyring, is_signed
from civicpulse.audit.merkle import canonical
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Tx
from civicpulse.base.ids import lock_number

FORMAT: Final = "civicpulse-checkpoint-1"
PREFIX: Final = "audit"
IDLE: Final = timedelta(days=1)
"""A chain to which nothing was added is signed again after so long."""

LOCK: Final = "SELECT pg_advisory_xact_lock(%s)"

LAST: Final = """
SELECT number, position, at, body, signature FROM checkpoints WHERE tenant_id = %(tenant_id)s ORDER BY number DESC LIMIT 1
"""

ADD: Final = """
INSERT INTO checkpoints (tenant_id, number, position, at, body, signature)
VALUES (%(tenant_id)s, %(number)s, %(position)s, %(at)s, %(body)s, %(signature)s)
"""

AFTER: Final = """
SELECT number, position, at, body, signature FROM checkpoints
WHERE tenant_id = %(tenant_id)s AND number > %(after)s ORDER BY number LIMIT 500
"""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement: what it says, and the signature of its canonical form."""

    body: Mapping[str, Any]
    signature: str

    @property
    def number(self) -> int:
        """Its place among the tenant's checkpoints."""
        return int(self.body["number"])

    @property
    def position(self) -> int:
        """The block that it signs, and with it all before."""
        return int(self.body["position"])

    @property
    def text(self) -> bytes:
        """What is signed."""
        return canonical(self.body)

    def digest(self) -> str:
        """Makes the hash by which the next one names it."""
        return hashlib.sha256(self.text).hexdigest()

    def document(self) -> bytes:
        """Makes the file that lies outside the database."""
        return orjson.dumps({"body": dict(self.body), "signature": self.signature}, option=orjson.OPT_INDENT_2)

    def is_signed_by(self, keys: Mapping[str, bytes]) -> bool:
        """Tells whether the key that it names is one of `keys` and has signed it."""
        public = keys.get(str(self.body.get("key")))
        return public is not None and is_signed(public, self.signature, self.text)


def read_checkpoint(document: bytes | str) -> Checkpoint:
    """Reads the file of a checkpoint. Raises ValueError when it is none."""
    try:
        found = json.loads(document)
        checkpoint = Checkpoint(found["body"], found["signature"])
        _ = checkpoint.number, checkpoint.position, checkpoint.body["head"], checkpoint.body["previous"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no checkpoint: {error}") from None
    return checkpoint


def stored(row: Mapping[str, Any]) -> Checkpoint:
    """Reads a row of the database's own list."""
    return Checkpoint(json.loads(row["body"]), row["signature"])


async def sign(tx: Tx, key: Key, *, anyway: bool = False) -> Checkpoint | None:
    """Signs the head of the tenant's chain, and keeps what was signed; None where there is no chain yet, or no news.

    Nothing is news for a day, then the chain is signed again: that it ends there is worth knowing, too. `anyway`: at once.
    """
    await tx.value(LOCK, [lock_number(tx.tenant_id, "checkpoint")])
    head = await tx.row(HEAD, {"tenant_id": tx.tenant_id})
    last = await tx.row(LAST, {"tenant_id": tx.tenant_id})
    at = clock.wall()
    is_news = last is None or (head is not None and head["position"] > last["position"]) or at - last["at"] >= IDLE
    if head is None or not (is_news or anyway):
        return None
    body = {
        "format": FORMAT,
        "tenant": str(tx.tenant_id),
        "slug": tx.tenant.slug,
        "number": last["number"] + 1 if last else 1,
        "previous": stored(last).digest() if last else "",
        "position": head["position"],
        "head": bytes(head["hash"]).hex(),
        "events": sum(head["counts"].values()),
        "counts": head["counts"],
        "at": at.isoformat(),
        "key": key.id,
    }
    checkpoint = Checkpoint(body, key.sign(canonical(body)))
    kept = {"number": checkpoint.number, "position": checkpoint.position, "at": at, "signature": checkpoint.signature}
    await tx.run(ADD, kept | {"tenant_id": tx.tenant_id, "body": checkpoint.text.decode()})
    return checkpoint


def file_key(tenant_id: UUID | str, number: int) -> str:
    """Names the file of a checkpoint in the store."""
    return f"{PREFIX}/{tenant_id}/{number:010d}.json"


async def publish(storage: Storage, checkpoint: Checkpoint, keyring: Keyring) -> None:
    """Writes a checkpoint, and the public keys beside it, to the file store; what lies there already is never replaced."""
    await storage.put_new(file_key(checkpoint.body["tenant"], checkpoint.number), checkpoint.document())
    keys = orjson.dumps(keyring.entries(), option=orjson.OPT_INDENT_2)
    await storage.put_new(f"{PREFIX}/keys/{checkpoint.body['key']}.json", keys)


async def published(storage: Storage, tenant_id: UUID) -> AsyncIterator[tuple[str, bytes]]:
    """Reads the tenant's files of checkpoints in the store, in their order: name and content."""
    for name in sorted([key async for key in storage.list(f"{PREFIX}/{tenant_id}")]):
        pieces = await storage.get(name)
        yield name, b"".join([piece async for piece in pieces])


async def tenants_of(storage: Storage) -> dict[str, int]:
    """Finds the tenants of which there are checkpoints in the store: their ids, and how many of each."""
    found: dict[str, int] = {}
    async for key in storage.list(PREFIX):
        tenant = key.removeprefix(f"{PREFIX}/").split("/")[0]
        if tenant != "keys":
            found[tenant] = found.get(tenant, 0) + 1
    return found
