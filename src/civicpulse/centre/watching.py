"""A run watched as Server-Sent Events. No connection to the database is held between two looks at it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import orjson

from civicpulse.base.db import Row
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.centre.documents import find_run_seen, is_over, run_document
from civicpulse.requests.visibility import Sight

LOOK_SECONDS: Final = 0.5
HEARTBEAT_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 600.0  # then the browser connects again by itself: a stream must not keep a server from ending
AGAIN_MS: Final = 1_000


async def watch(services: Services, tenant: Tenant, run_id: UUID, sight: Sight) -> AsyncIterator[bytes]:
    """Streams `progress` at once and whenever the run has moved; `done` or `failed` ends the stream, with what `sight` sees."""
    began = said = time.monotonic()
    seen: Any = None
    yield f"retry: {AGAIN_MS}\n\n".encode()
    while time.monotonic() - began < LONGEST_SECONDS:
        async with services.db.transaction(tenant) as tx:
            row = await find_run_seen(tx, run_id, sight)
        if row is None:
            return
        if is_over(row):
            yield _event(row["state"], row)
            return
        state = (row["state"], row["step"], row["updated_at"])
        if state != seen:
            seen, said = state, time.monotonic()
            yield _event("progress", row)
        elif time.monotonic() - said >= HEARTBEAT_SECONDS:
            said = time.monotonic()
            yield b": still here\n\n"
        await asyncio.sleep(LOOK_SECONDS)


def _event(name: str, row: Row) -> bytes:
    """Writes an event; JSON by orjson has no line breaks, which would end the data."""
    data = orjson.dumps(run_document(row, brief=not is_over(row)), option=orjson.OPT_UTC_Z)
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
