"""API tokens: 256 random bits, shown once, stored as their SHA-256."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from civicpulse.accounts.roles import roles_of, unknown_role
from civicpulse.base import clock
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.ids import new_id

PREFIX = "cpt_"
REMEMBERED_SECONDS = 3.0  # so long a revoked token may still work in a process that has just seen it
REMEMBERED_TOKENS = 10_000

ADD_TOKEN = """
INSERT INTO tokens (tenant_id, token_id, token_hash, role, actor_id, label, created_at, expires_at)
VALUES (%(tenant_id)s, %(token_id)s, %(token_hash)s, %(role)s, %(actor_id)s, %(label)s, %(created_at)s, %(expires_at)s)
"""

REVOKE_TOKEN = "UPDATE tokens SET revoked_at = %(at)s WHERE tenant_id = %(tenant_id)s AND token_id = %(token_id)s AND revoked_at IS NULL"

REVOKE_TOKENS_OF = """
UPDATE tokens SET revoked_at = %(at)s WHERE tenant_id = %(tenant_id)s AND actor_id = %(actor_id)s AND revoked_at IS NULL
"""

LIST_TOKENS = """
SELECT t.token_id, t.role, t.label, t.actor_id, t.created_at, t.expires_at, t.revoked_at FROM tokens t
WHERE t.tenant_id = %(tenant_id)s
AND (%(ended)s OR t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > %(now)s))
ORDER BY t.created_at, t.token_id
"""

FIND_TOKEN = "SELECT tenant_id, token_id, role, actor_id, label, expires_at FROM gate_token(%s)"


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """Whom a token stands for."""

    tenant_id: UUID
    token_id: UUID
    role: str
    actor_id: UUID | None
    label: str
    expires_at: datetime | None


def token_hash(token: str) -> bytes:
    """Hashes a token, as it is stored. A plain hash is enough for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def create_token(
    tx: Tx, *, role: str, actor_id: UUID | None = None, label: str = "", lifetime: timedelta | None = None
) -> str:
    """Makes a token as `issue_token` does, for callers who want its text alone."""
    return (await issue_token(tx, role=role, actor_id=actor_id, label=label, lifetime=lifetime))[1]


async def issue_token(
    tx: Tx, *, role: str, actor_id: UUID | None = None, label: str = "", lifetime: timedelta | None = None
) -> tuple[UUID, str]:
    """Makes a token for `role` in the transaction's tenant: its id and, at this moment only, its text.

    Raises Invalid when the tenant has no such role for tokens.
    """
    roles = await roles_of(tx)
    if role not in roles.of_tokens:
        raise unknown_role(role, roles.of_tokens)
    token = PREFIX + secrets.token_urlsafe(32)
    now = clock.now()
    values: dict[str, Any] = {
        "tenant_id": tx.tenant_id,
        "token_id": new_id(),
        "token_hash": token_hash(token),
        "role": role,
        "actor_id": actor_id,
        "label": label,
        "created_at": now,
        "expires_at": now + lifetime if lifetime else None,
    }
    await tx.run(ADD_TOKEN, values)
    return values["token_id"], token


async def list_tokens(tx: Tx, *, ended: bool) -> list[Row]:
    """Lists the tenant's tokens, oldest first, with those that have `ended` or without; the tokens themselves are not known."""
    return await tx.rows(LIST_TOKENS, {"tenant_id": tx.tenant_id, "ended": ended, "now": clock.now()})


async def revoke_token(tx: Tx, token_id: UUID) -> bool:
    """Ends a token; False when there is none such or it had ended."""
    return await tx.run(REVOKE_TOKEN, {"tenant_id": tx.tenant_id, "token_id": token_id, "at": clock.now()}) == 1


async def revoke_tokens_of(tx: Tx, actor_id: UUID) -> int:
    """Ends every token of a person, whatever its role; how many."""
    return await tx.run(REVOKE_TOKENS_OF, {"tenant_id": tx.tenant_id, "actor_id": actor_id, "at": clock.now()})


class TokenBook:
    """Looks tokens up and remembers the answer for REMEMBERED_SECONDS."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen: dict[bytes, tuple[float, TokenOwner | None]] = {}

    async def owner(self, token: str) -> TokenOwner | None:
        """Finds whom `token` stands for; None when it is unknown, revoked or past its time."""
        key = token_hash(token)
        remembered = self._seen.get(key)
        if remembered is None or time.monotonic() - remembered[0] > REMEMBERED_SECONDS:
            remembered = (time.monotonic(), await self._find(key))
            if len(self._seen) >= REMEMBERED_TOKENS:
                self._seen.clear()
            self._seen[key] = remembered
        owner = remembered[1]
        if owner is not None and owner.expires_at is not None and owner.expires_at <= clock.now():
            return None
        return owner

    async def _find(self, key: bytes) -> TokenOwner | None:
        async with self._db.gate() as conn:
            cursor = conn.cursor(row_factory=class_row(TokenOwner))
            await cursor.execute(FIND_TOKEN, [key])
            return await cursor.fetchone()
