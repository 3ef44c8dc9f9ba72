"""Ids: UUIDv7 made by us, so that they sort by time and no table needs an identity column."""

import hashlib
import os
from datetime import datetime
from uuid import UUID

import uuid_utils


def new_id() -> UUID:
    """Makes a UUIDv7 of this instant."""
    return UUID(int=uuid_utils.uuid7().int)


def id_at(instant: datetime) -> UUID:
    """Makes a UUIDv7 of a given instant, for rows that happened earlier than they are written."""
    millis = int(instant.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    random = int.from_bytes(os.urandom(10), "big")
    return UUID(int=(millis << 80) | (7 << 76) | ((random >> 68) << 64) | (2 << 62) | (random & 0x3FFF_FFFF_FFFF_FFFF))


def lock_number(*parts: object) -> int:
    """Makes a stable signed 64-bit number for an advisory lock named by `parts`."""
    digest = hashlib.blake2b("\x1f".join(str(part) for part in parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
