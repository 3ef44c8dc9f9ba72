"""Tickets with where their attachments lie."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Row, Tx
from civicpulse.centre.tickets import queries
from civicpulse.packs.store import current_pack
from civicpulse.requests.files import storage_key
from civicpulse.requests.views.ticket import ticket_document
from civicpulse.requests.visibility import Sight


async def ticket_documents(
    tx: Tx, ids: Sequence[UUID], sight: Sight, *, storage: Storage, sees_contacts: bool
) -> list[dict[str, Any]]:
    """Makes a document for each ticket that is seen, in the order of `ids`; sex and birth date only for those who may see contacts."""
    rows, pack = await queries.get_tickets(tx, ids, sight), await current_pack(tx)
    return [
        ticket_document(row, pack, attachments=await _attachments(tx, row, storage), sees_contacts=sees_contacts)
        for row in (rows[key] for key in ids if key in rows)
    ]


async def _attachments(tx: Tx, row: Row, storage: Storage) -> list[dict[str, Any]]:
    """Shows a ticket's files, the newest first, each with its key in the store and the address to fetch it from."""
    shown = list[dict[str, Any]]()
    for file in row["files"] or ():
        key = storage_key(tx, UUID(file["id"]))
        about = {name: file[name] for name in ("name", "media_type", "sha256", "uploaded_at")}
        shown.append(about | {"key": key, "url": await storage.signed_url(key) or f"/evidence/{file['id']}"})
    return shown
