"""HTTP of the CSV pipeline: send files, process again, watch runs (R-CSV-01)."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from civicpulse.accounts.callers import Caller, needs
from civicpulse.base import clock
from civicpulse.base.answers import REPLAYABLE, Media, Page, answers
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import Conflict, Problem
from civicpulse.base.paging import MAX_LIMIT, page
from civicpulse.base.web import ID_GUARDS, Json, TransactionRoute, end_transaction, services_of
from civicpulse.centre import run_queries, start
from civicpulse.centre.documents import find_run_seen, is_over, links_of, result_document, run_as_seen, run_document
from civicpulse.centre.texts import NOBODY_TO_GIVE_TO
from civicpulse.centre.tickets.documents import ticket_documents
from civicpulse.centre.views import AcceptedRunView, ListedRunView, PipelineResultView, RunView
from civicpulse.centre.watching import watch
from civicpulse.packs.store import current_pack
from civicpulse.requests.visibility import Reader, reader_of
from civicpulse.rules.access import Permission

router = APIRouter(route_class=TransactionRoute, tags=["pipeline"])

NO_RUN = {404: ("run_not_found",)}
NO_PIPELINE = {409: ("no_pipeline",)}
RAN = {200: PipelineResultView, 202: AcceptedRunView}
RUN_FAILED = {500: ("run_failed",)}

IsAsync = Annotated[bool, Query(alias="async", description="Answer at once; a worker does the run")]
Table = Annotated[UploadFile | None, File(description="CSV")]


@router.post(
    "/upload",
    summary="Load offices, managers and tickets from CSV, and give the tickets out",
    responses=answers(
        RAN,
        NO_PIPELINE,
        REPLAYABLE,
        {422: ("missing_file", "missing_column", "unreadable_file"), 507: ("storage_full",)},
        RUN_FAILED,
    ),
)
async def upload_files(
    request: Request,
    business_units: Table = None,
    managers: Table = None,
    tickets: Table = None,
    attachments: Annotated[list[UploadFile] | None, File(description="Files that the tickets name")] = None,
    is_async: IsAsync = False,
    caller: Caller = needs(Permission.PIPELINE_RUN),
) -> Response:
    """Runs the whole pipeline: ingest, attachments, geocode, analyse, assign; answers PipelineResult, with the tickets that the caller sees.

    Offices and managers may be left out once there are some. With `async=true` 202 and a run to watch; so, too, when
    another run of the tenant takes long. The same Idempotency-Key and files give the same run.
    """
    pack = await current_pack(caller.tx)
    start.check_pack(pack)
    given = {"business_units": business_units, "managers": managers, "tickets": tickets}
    tables = {
        field: upload for field, upload in given.items() if upload is not None and (upload.filename or upload.size)
    }
    others = [upload for upload in attachments or () if upload.filename or upload.size]
    await start.check_complete(caller.tx, tables)
    reader = await reader_of(caller)
    await end_transaction(request)
    run_id, replayed = await start.begin_upload(
        services_of(request),
        request.app.state.storage,
        caller.tenant,
        caller.actor,
        pack,
        tables,
        others,
        key=caller.idempotency_key,
        head_start=not is_async,
    )
    return await _answer(request, caller, reader, run_id, is_async=is_async, replayed=replayed)


@router.post(
    "/process",
    summary="Geocode, analyse and assign what is here again",
    responses=answers(RAN, NO_PIPELINE, REPLAYABLE, RUN_FAILED),
)
async def process_tickets(
    request: Request,
    caller: Caller = needs(Permission.PIPELINE_RUN),
    force: Annotated[
        bool, Query(description="Every ticket that nobody works on yet is read and given out again")
    ] = False,
    every: Annotated[
        bool, Query(alias="all", description="The same as force, as it was called before", deprecated=True)
    ] = False,
    is_async: IsAsync = False,
) -> Response:
    """Works on tickets without an analysis and the whole queue of unassigned ones; answers PipelineResult, with a note without any."""
    start.check_pack(await current_pack(caller.tx))
    reader = await reader_of(caller)
    await end_transaction(request)
    run_id, replayed = await start.begin_process(
        services_of(request),
        caller.tenant,
        caller.actor,
        every=force or every,
        key=caller.idempotency_key,
        head_start=not is_async,
    )
    return await _answer(request, caller, reader, run_id, is_async=is_async, replayed=replayed)


async def _answer(
    request: Request, caller: Caller, reader: Reader, run_id: UUID, *, is_async: bool, replayed: bool
) -> Response:
    services, storage, tenant = services_of(request), request.app.state.storage, caller.tenant
    headers = {"Location": f"/pipeline-runs/{run_id}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
    row = await (
        start.get_run(services, tenant, run_id) if is_async else start.finish(services, storage, tenant, run_id)
    )
    if is_async or not is_over(row):
        accepted = {"run_id": row["id"], "state": row["state"], "links": links_of(row)}
        return Json(accepted, status_code=202, headers=headers)
    async with services.db.transaction(tenant) as tx:
        row = await run_as_seen(tx, row, reader.sight)
        if row["state"] == "failed" and row["last_error"] not in NOBODY_TO_GIVE_TO:
            raise _failed(row)
        sees = caller.may(Permission.CITIZEN_CONTACT)
        result = await _result(tx, reader, storage, row, sees_contacts=sees)
    return Json(result, headers=headers)


def _failed(row: Row) -> Problem:
    again = f"POST /pipeline-runs/{row['id']}/retry goes on where it stopped."
    words = f"The run failed at the step {row['step']}: {row['last_error']} Nothing is lost: {again}"
    about = {"run_id": str(row["id"]), "errors": row["errors"], "links": links_of(row)}
    problem = Problem(words, code="run_failed", extra=about)
    problem.title = "The run failed"
    return problem


NOTHING_TO_DO = (
    "Nothing has changed: every ticket here has been read, and none waits for somebody to be given to. POST /process?force=true "
    "reads and gives out again every ticket that nobody works on yet."
)


async def _result(tx: Tx, reader: Reader, storage: Storage, row: Row, *, sees_contacts: bool) -> dict[str, Any]:
    """Writes PipelineResult with those of its tickets that the caller sees, in the order of the file."""
    ids = list(dict.fromkeys(row["ticket_ids"]))
    tickets = await ticket_documents(tx, ids, reader.reach, storage=storage, sees_contacts=sees_contacts)
    found = result_document(row)
    result = found | {"tickets": tickets, "tickets_truncated": found["tickets_loaded"] > len(ids)}
    is_idle = row["kind"] == "process" and not found["tickets_loaded"] and not row["options"].get("all")
    return result | {"note": NOTHING_TO_DO} if is_idle else result


@router.get("/pipeline-runs", summary="List runs of the pipeline", responses=answers(Page[ListedRunView]))
async def list_runs(
    caller: Caller = needs(Permission.PIPELINE_RUN),
    state: Literal["waiting", "running", "done", "failed"] | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Lists the runs, newest first, without their errors."""
    rows, next_cursor = await run_queries.list_runs(caller.tx, state=state, limit=limit, cursor=cursor)
    return Json(page([run_document(row, brief=True) for row in rows], next_cursor))


async def _known(caller: Caller, run_id: UUID) -> Row:
    row = await find_run_seen(caller.tx, run_id, (await reader_of(caller)).sight)
    if row is None:
        raise start.run_not_found(run_id)
    return row


async def _guard(request: Request) -> None:
    caller: Caller | None = getattr(request.state, "caller", None)
    try:
        run_id = UUID(request.path_params["run_id"])
    except ValueError:
        return  # not an id at all: the answer says so
    if caller is not None:
        await _known(caller, run_id)


ID_GUARDS["run_id"] = _guard


@router.get("/pipeline-runs/{run_id}", summary="Read where a run stands", responses=answers(RunView, NO_RUN))
async def get_run(run_id: UUID, caller: Caller = needs(Permission.PIPELINE_RUN)) -> Response:
    """Shows state, step, progress by step, counts and errors of a run; its tickets are in GET /tickets."""
    return Json(run_document(await _known(caller, run_id)))


@router.get(
    "/pipeline-runs/{run_id}/events",
    summary="Watch a run (Server-Sent Events)",
    responses=answers(Media(("text/event-stream",)), NO_RUN),
)
async def watch_run(run_id: UUID, request: Request, caller: Caller = needs(Permission.PIPELINE_RUN)) -> Response:
    """Streams `progress` whenever it moves, `done` or `failed` at its end, each with JSON; works when it is over already."""
    await _known(caller, run_id)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = watch(services_of(request), caller.tenant, run_id, (await reader_of(caller)).sight)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.post(
    "/pipeline-runs/{run_id}/retry",
    status_code=202,
    summary="Go on with a run that failed",
    responses=answers({202: RunView}, NO_RUN, {409: ("not_failed",)}),
)
async def retry_run(run_id: UUID, caller: Caller = needs(Permission.PIPELINE_RUN)) -> Response:
    """Lets a worker go on where the run failed; 409 when it has not failed."""
    await _known(caller, run_id)
    if not await run_queries.retry(caller.tx, run_id, at=clock.now()):
        raise Conflict(f"Run {run_id} has not failed: there is nothing to retry.", code="not_failed")
    return Json(run_document(await _known(caller, run_id)), status_code=202)
