"""Uploaded files: looked through before anything is written, kept in the object store, fetched again by who works on them."""

import asyncio
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID

from fastapi import UploadFile

from civicpulse.base.clients.storage import Storage
from civicpulse.base.errors import Invalid, Problem
from civicpulse.base.ids import new_id
from civicpulse.base.processes import Processes, ProcessLost, TookTooLong
from civicpulse.base.tenancy import Tenant
from civicpulse.centre.reader import Layout, Refused, look_at
from civicpulse.centre.rows import Fault
from civicpulse.centre.texts import say
from civicpulse.packs.model import Pack
from civicpulse.packs.shapes import CsvColumn
from civicpulse.requests.files import MAX_BYTES, describe_file, evidence_key

TABLES: Final = ("business_units", "managers", "tickets")
PIECE: Final = 1 << 20  # bytes
READ_SECONDS, SECONDS_PER_PIECE = 10.0, 2.0  # of CPU time, to read a table
TOO_MUCH: Final = "Reading it takes too much time or memory: send it in smaller parts, as plain CSV."


@dataclass(frozen=True, slots=True)
class Received:
    """One uploaded file: its field, its name, what identifies its content and, for a table, how to read it."""

    field: str
    name: str
    sha256: str
    bytes: int
    upload: UploadFile
    layout: Layout | None = None


async def look_through(
    processes: Processes, tenant: Tenant, pack: Pack, tables: Mapping[str, UploadFile], others: Sequence[UploadFile]
) -> list[Received]:
    """Describes every file by its hash and layout. Raises Invalid (422) naming file and column of each table that is no such.

    A table is read in a process that is ended when it takes too long, whatever was made to keep it busy; the tables of one
    tenant leave a place to the others'.
    """
    received, errors = list[Received](), list[dict[str, Any]]()
    for field, upload in tables.items():
        name = upload.filename or f"{field}.csv"
        layout = await _layout(processes, tenant, upload.file, pack.document.csv_columns[field])
        if isinstance(layout, Refused):
            column = {"column": layout.column} if layout.column else {}
            errors.append({"field": field, "file": name, **column, "detail": f"{name}: {layout.reason}"})
            continue
        received.append(await _received(field, name, upload, layout))
    if errors:
        raise Invalid(
            "Nothing was loaded: " + " ".join(error["detail"] for error in errors),
            code="unreadable_file" if not any("column" in error for error in errors) else "missing_column",
            errors=errors,
        )
    return received + [await _received("attachments", other.filename or "file", other) for other in others]


async def _layout(
    processes: Processes, tenant: Tenant, file: IO[bytes], columns: Mapping[str, CsvColumn]
) -> Layout | Refused:
    with tempfile.NamedTemporaryFile() as local:
        file.seek(0)
        await asyncio.to_thread(shutil.copyfileobj, file, local, PIECE)
        local.flush()
        seconds = limit(local.tell())
        try:
            return await processes.run(look_at, local.name, columns, seconds=seconds, owner=tenant.tenant_id)
        except (TookTooLong, ProcessLost):
            return Refused(TOO_MUCH)


def limit(size: int) -> float:
    """Computes how many seconds of CPU time reading a table of so many bytes may take."""
    return READ_SECONDS + size / PIECE * SECONDS_PER_PIECE


async def _received(field: str, name: str, upload: UploadFile, layout: Layout | None = None) -> Received:
    sha256, size = await asyncio.to_thread(_digest, upload.file)
    return Received(field, name.replace("\x00", "")[:200], sha256, size, upload, layout)


def _digest(file: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(PIECE):
        digest.update(piece)
        size += len(piece)
    file.seek(0)
    return digest.hexdigest(), size


async def keep(
    storage: Storage, tenant_id: UUID, run_id: UUID, received: Sequence[Received], *, language: str
) -> tuple[list[dict[str, Any]], list[Fault]]:
    """Stores the files; how to find and read each again, and warnings about attachments that cannot be kept."""
    files, faults = list[dict[str, Any]](), list[Fault]()
    try:
        await _keep_each(storage, tenant_id, run_id, received, files, faults, language)
    except Problem:
        await drop(storage, files)
        raise
    return files, faults


async def _keep_each(
    storage: Storage,
    tenant_id: UUID,
    run_id: UUID,
    received: Sequence[Received],
    files: list[dict[str, Any]],
    faults: list[Fault],
    language: str,
) -> None:
    for one in received:
        about = {"field": one.field, "name": one.name, "sha256": one.sha256, "bytes": one.bytes}
        if one.layout is not None:
            key = f"{tenant_id}/pipeline/{run_id}/{one.field}"
            files.append(about | {"key": key, "layout": one.layout.to_json()})
        elif 0 < one.bytes <= MAX_BYTES:
            evidence_id = new_id()
            key = evidence_key(tenant_id, evidence_id)
            described = describe_file(one.upload.filename, one.upload.content_type)
            files.append(about | {"key": key, "id": str(evidence_id), **described})
        else:
            what = "attachment_large" if one.bytes else "attachment_empty"
            faults.append(Fault(one.name, None, say(language, what, mb=MAX_BYTES // 1024 // 1024), "warning"))
            continue
        await storage.put(key, _pieces(one.upload.file))


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while piece := await asyncio.to_thread(file.read, PIECE):
        yield piece


async def drop(storage: Storage, files: Sequence[Mapping[str, Any]]) -> None:
    """Removes files from the store."""
    for file in files:
        await storage.delete(file["key"])


async def fetch(storage: Storage, file: Mapping[str, Any], target: Path) -> None:
    """Writes a kept file to disk."""
    with target.open("wb") as local:
        async for piece in await storage.get(file["key"]):
            await asyncio.to_thread(local.write, piece)
