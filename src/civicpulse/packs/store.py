"""A tenant's pack versions: stored as immutable rows, compiled once a process."""

from datetime import datetime
from uuid import UUID

from civicpulse.base.db import Tx
from civicpulse.base.wire import began
from civicpulse.packs.model import Pack, PackDocument, compile_pack

_compiled: dict[tuple[UUID, int], Pack] = {}

GET_PACK = "SELECT document FROM pack_versions WHERE tenant_id = %(tenant_id)s AND version = %(version)s"


async def pack_version(tx: Tx, version: int) -> Pack:
    """Finds the tenant's pack of that version. Versions never change, so what was compiled stays right."""
    key = (tx.tenant_id, version)
    pack = _compiled.get(key)
    if pack is None:
        document = await tx.value(GET_PACK, {"tenant_id": tx.tenant_id, "version": version})
        if document is None:
            raise LookupError(f"tenant {tx.tenant.slug} has no pack version {version}")
        pack = _compiled[key] = compile_pack(PackDocument.stored(document))
    return pack


async def current_pack(tx: Tx) -> Pack:
    """Finds the pack that new requests of this tenant get."""
    return await pack_version(tx, tx.tenant.pack_version)


async def began_here(tx: Tx, *moments: datetime | None) -> tuple[datetime | None, ...]:
    """Says when each of what was given as DayOrInstant began: days are the tenant's own."""
    zone = (await current_pack(tx)).time_zone
    return tuple(began(moment, zone) for moment in moments)
