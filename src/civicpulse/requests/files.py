"""Evidence as files: photos and documents sent with a request, kept in the object store, found by their hash."""

import hashlib
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base.answers import REPLAYABLE, Media, View, answers
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from civicpulse.base.ids import lock_number, new_id
from civicpulse.base.processes import Processes, ProcessLost, TookTooLong
from civicpulse.base.web import Json, TransactionRoute, services_of
from civicpulse.packs.model import Pack
from civicpulse.requests import queries
from civicpulse.requests.actions import UPLOADERS
from civicpulse.requests.api import OUT_OF_SIGHT, TrackingToken
from civicpulse.requests.changes import open_change
from civicpulse.requests.privacy.photos import SECONDS, Photo, clean
from civicpulse.requests.privacy.public import is_public_file
from civicpulse.requests.visibility import is_reporter, reader_of, speaking, visible_request
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["requests"])

MAX_FILES = 10
MAX_BYTES = 15 * 1024 * 1024
# Shown in the page as what they are; anything else is offered for download only.
SHOWN = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "video/mp4", "application/pdf"})
OTHER = "application/octet-stream"

FILES_OF_A_REQUEST = 200
FILES_OF_A_REPORTER = 30

LOCK_FILES = "SELECT pg_advisory_xact_lock(%(number)s)"

COUNT = """
SELECT count(*) AS all, count(*) FILTER (WHERE uploaded_by = 'citizen') AS reporters FROM evidence
WHERE tenant_id = %(tenant_id)s AND request_id = %(request_id)s AND media_type IS NOT NULL
"""

FIND = """
SELECT e.id, e.type, e.media_type, e.sha256, e.cleaned, e.uploaded_by, e.hidden_at IS NOT NULL AS hidden, r.number FROM evidence e
JOIN requests r ON r.tenant_id = e.tenant_id AND r.id = e.request_id
WHERE e.tenant_id = %(tenant_id)s AND e.id = %(id)s AND e.media_type IS NOT NULL
"""


class SentFileView(View):
    """A file that is kept."""

    type: Literal["photo", "video", "file"]
    url: str
    sha256: str
    file_name: str
    uploaded_by: str


class SentFilesView(View):
    """The files in the order in which they were sent."""

    items: list[SentFileView]


def storage_key(tx: Tx, evidence_id: UUID) -> str:
    """Names the place of a piece of evidence in the store of files."""
    return evidence_key(tx.tenant_id, evidence_id)


def evidence_key(tenant_id: UUID, evidence_id: UUID) -> str:
    """Names the place of a piece of evidence in the store, for callers without a transaction."""
    return f"{tenant_id}/evidence/{evidence_id}"


def evidence_keys(tx: Tx, evidence_id: UUID) -> tuple[str, str]:
    """Names the places of a piece of evidence in the store: as it is shown, and as it was sent."""
    key = storage_key(tx, evidence_id)
    return key, f"{key}.original"


def describe_file(name: str | None, content_type: str | None) -> Row:
    """Names what is kept of a file besides its bytes: type, media_type and file_name."""
    media_type = (content_type or "application/octet-stream").split(";")[0].strip().lower()[:100]
    return {
        "type": kind_of(media_type),
        "media_type": media_type,
        "file_name": (name or "file").replace("\x00", "")[:200],
    }


def kind_of(media_type: str) -> str:
    """Tells a photo, a video and any other file apart."""
    return {"image": "photo", "video": "video"}.get(media_type.split("/")[0], "file")


@router.post(
    "/requests/{number}/evidence",
    status_code=201,
    summary="Send files as evidence",
    responses=answers(
        {201: SentFilesView, 200: SentFilesView},
        OUT_OF_SIGHT,
        REPLAYABLE,
        {
            403: ("not_the_reporter",),
            409: ("too_many_files",),
            422: ("file_too_large", "unreadable_photo"),
            507: ("storage_full",),
        },
    ),
)
async def send_evidence(
    number: str,
    request: Request,
    files: Annotated[list[UploadFile], File(alias="file")],
    caller: Caller = needs(Permission.REQUEST_RATE, once=True),
    token: TrackingToken = None,
) -> Response:
    """Takes up to ten files of 15 MB (multipart field `file`), by staff or by the reporter; answers type, url and sha256 of each."""
    row, reader = await visible_request(caller, number, token), await reader_of(caller)
    if not (reader.sees_as_staff(row) or is_reporter(caller, row, token)):
        raise Forbidden(
            "Only staff and the person who reported this request may add evidence.", code="not_the_reporter"
        )
    _check_number(files)
    await _check_quota(caller, row["id"], len(files), is_staff=reader.sees_as_staff(row))
    actor = await speaking(caller, row, token)
    change = await open_change(caller.tx, actor, number)
    items = await _keep_all(caller, request, files, change.pack)
    uploader = UPLOADERS[actor.type]
    kept = [item | {"request_id": row["id"]} for item in items]
    await queries.add_evidence(caller.tx, kept, uploaded_by=uploader, at=change.at)
    change.tell("evidence.added", evidence=[item["sha256"] for item in items])
    await change.apply()
    shown = [
        {name: item[name] for name in ("type", "url", "sha256", "file_name")} | {"uploaded_by": uploader}
        for item in items
    ]
    return Json({"items": shown}, status_code=201)


def _check_number(files: list[UploadFile]) -> None:
    if len(files) > MAX_FILES:
        raise Invalid(f"At most {MAX_FILES} files at once: send the others with another call.", field="file")


async def _check_quota(caller: Caller, request_id: UUID, more: int, *, is_staff: bool) -> None:
    """Raises Conflict when a request has as many files as it may, or its reporter has sent as many as they may."""
    # Under the lock of the request, so that two calls at once count each other's.
    await caller.tx.run(LOCK_FILES, {"number": lock_number("files", caller.tx.tenant_id, request_id)})
    about = {"tenant_id": caller.tx.tenant_id, "request_id": request_id}
    counted = await caller.tx.row(COUNT, about)
    assert counted is not None
    has, limit = (counted["all"], FILES_OF_A_REQUEST) if is_staff else (counted["reporters"], FILES_OF_A_REPORTER)
    if has + more > limit or counted["all"] + more > FILES_OF_A_REQUEST:
        raise Conflict(
            f"There are {has} files already, and there may be {limit}: choose the ones that matter.",
            code="too_many_files",
        )


async def _keep_all(caller: Caller, request: Request, files: list[UploadFile], pack: Pack) -> list[Row]:
    """Keeps each of the files, or none: what was kept before one that cannot be is taken away again."""
    items: list[Row] = []
    tx, storage, processes = caller.tx, request.app.state.storage, services_of(request).processes
    try:
        for file in files:
            items += [await _keep(tx, storage, processes, file, keeps_original=pack.document.keep_original_photos)]
    except Problem:
        for item in items:
            for key in evidence_keys(tx, item["id"]):
                await storage.delete(key)
        raise
    return items


async def _keep(tx: Tx, storage: Storage, processes: Processes, file: UploadFile, *, keeps_original: bool) -> Row:
    data = await file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Invalid(
            f"{file.filename!r} is larger than {MAX_BYTES // 1024 // 1024} MB: send a smaller one.",
            field="file",
            code="file_too_large",
        )
    if not data:
        raise Invalid(f"{file.filename!r} is empty.", field="file")
    evidence_id, described = new_id(), describe_file(file.filename, file.content_type)
    key, original = evidence_keys(tx, evidence_id)
    # Before the commit: a row must never point to a file that is not there; a file without a row only takes space.
    if described["type"] == "photo":
        photo = await _cleaned(processes, tx.tenant_id, data)
        if isinstance(photo, str):
            raise Invalid(f"{file.filename!r} {photo}.", field="file", code="unreadable_photo")
        if keeps_original:
            await storage.put(original, data)
        data, described["media_type"] = photo.data, photo.media_type
    await storage.put(key, data)
    about = {"id": evidence_id, "url": f"/evidence/{evidence_id}", "sha256": hashlib.sha256(data).hexdigest()}
    return about | described | {"cleaned": described["type"] == "photo"}


async def _cleaned(processes: Processes, tenant_id: UUID, data: bytes) -> Photo | str:
    """Cleans a photo where it can be ended; says in words why it cannot be."""
    try:
        return await processes.run(clean, data, seconds=SECONDS, owner=tenant_id)
    except (TookTooLong, ProcessLost):
        return "takes too long to read: send a smaller one"


@router.get(
    "/evidence/{evidence_id}",
    summary="Fetch a file",
    responses=answers(Media((*sorted(SHOWN), OTHER)), {404: ("not_found", "file_missing", "request_not_found")}),
)
async def fetch_evidence(
    evidence_id: UUID,
    request: Request,
    caller: Caller = needs(Permission.REQUEST_READ),
    token: TrackingToken = None,
    original: Annotated[bool, Query(description="As it was sent, for staff, where the pack keeps that")] = False,
) -> Response:
    """Sends a photo, without what its camera wrote beside it, to whoever may see its request. Other files, in which such things
    cannot be found, go to staff and to whoever reported; what staff sent goes to everybody."""
    found = await caller.tx.row(FIND, {"tenant_id": caller.tx.tenant_id, "id": evidence_id})
    if found is None:
        raise NotFound(f"There is no file {evidence_id} here.")
    row, reader = await visible_request(caller, found["number"], token), await reader_of(caller)
    is_staff, storage = reader.sees_as_staff(row), request.app.state.storage
    if not (is_public_file(found) or is_staff or is_reporter(caller, row, token)):
        raise NotFound(f"There is no file {evidence_id} here.")
    key, first = evidence_keys(caller.tx, evidence_id)
    try:
        pieces = await storage.get(first if original and is_staff else key)
        if found["type"] == "photo" and not found["cleaned"] and not is_staff:
            # Kept by an earlier release, or with a file of a contact centre, as its camera wrote it.
            photo = await _cleaned(
                services_of(request).processes, caller.tx.tenant_id, b"".join([one async for one in pieces])
            )
            if isinstance(photo, str):
                raise FileNotFoundError
            return Response(photo.data, media_type=photo.media_type, headers=_headers(found, is_shown=True))
    except FileNotFoundError:
        raise NotFound(
            "The file is no longer in the store: ask whoever sent it to send it again.", code="file_missing"
        ) from None
    is_shown = found["media_type"] in SHOWN
    media_type = found["media_type"] if is_shown else OTHER
    return StreamingResponse(pieces, media_type=media_type, headers=_headers(found, is_shown=is_shown))


def _headers(found: Row, *, is_shown: bool) -> dict[str, str]:
    return {
        "Content-Disposition": "inline" if is_shown else "attachment",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "ETag": f'"{found["sha256"]}"',
        "Cache-Control": "private, max-age=3600",
    }
