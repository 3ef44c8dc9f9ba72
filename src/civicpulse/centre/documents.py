"""A run as it is shown: PipelineResult (R-CSV-01), and where it stands while it is at work."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from civicpulse.base.db import Row, Tx
from civicpulse.centre import run_queries
from civicpulse.centre.reader import layout_from_json
from civicpulse.centre.run import MAX_FAULTS, STEPS
from civicpulse.centre.texts import say
from civicpulse.packs.store import current_pack
from civicpulse.requests.visibility import Sight, seen_numbers

COUNTS: Final = (
    "tickets_loaded", "tickets_added", "tickets_changed", "tickets_unchanged", "business_units_loaded", "managers_loaded",
    "attachments_stored", "tickets_placed", "tickets_analyzed", "tickets_assigned", "tickets_unassigned",
)  # fmt: skip


async def find_run_seen(tx: Tx, run_id: UUID, sight: Sight) -> Row | None:
    """Finds the run, or None; its errors name no request that is not seen."""
    row = await run_queries.find_run(tx, run_id)
    return None if row is None else await run_as_seen(tx, row, sight)


async def run_as_seen(tx: Tx, row: Row, sight: Sight) -> Row:
    """Shows the run without a word about requests that are not seen: that there is one for a row its sender knows."""
    named = {fault["request_id"] for fault in row["errors"] if "request_id" in fault}
    hidden = named - await seen_numbers(tx, sight, named)
    if not hidden:
        return row
    words = say((await current_pack(tx)).document.language, "not_seen")
    errors = [_untold(fault, words) if fault.get("request_id") in hidden else fault for fault in row["errors"]]
    return row | {"errors": errors}


def _untold(fault: Mapping[str, Any], words: str) -> dict[str, Any]:
    return {name: value for name, value in fault.items() if name != "request_id"} | {"message": words}


def is_over(row: Row) -> bool:
    """Tells whether nobody works on the run any more."""
    return row["state"] in ("done", "failed")


def result_document(row: Row) -> dict[str, Any]:
    """Writes PipelineResult without its tickets (R-CSV-01). A failed run says why in its errors, too."""
    counts = row["counts"]
    errors = list(row["errors"])
    if row["last_error"]:
        errors.append({"file": None, "line": None, "message": row["last_error"], "severity": "error"})
    told = counts.get("errors", 0) + counts.get("warnings", 0)
    return {
        "run_id": row["id"],
        "state": row["state"],
        **{name: counts.get(name, 0) for name in COUNTS},
        "error_count": counts.get("errors", 0),
        "warning_count": counts.get("warnings", 0),
        "errors": errors,
        "errors_truncated": told > MAX_FAULTS,
    }


def run_document(row: Row, *, brief: bool = False) -> dict[str, Any]:
    """Writes a run with its progress, step by step; a brief one only counts its errors."""
    result = result_document(row)
    if brief:
        del result["errors"]
    return {
        "run_id": row["id"],
        "kind": row["kind"],
        "state": row["state"],
        "step": row["step"],
        "progress": progress_document(row),
        "error": row["last_error"],
        "requested_by": row["requested_by"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "updated_at": row["updated_at"],
        "finished_at": row["finished_at"],
        "files": [_file_document(file) for file in row["files"]],
        "options": row["options"],
        "result": result,
        "links": links_of(row),
    }


def _file_document(file: Mapping[str, Any]) -> dict[str, Any]:
    """Writes an uploaded file; of a table also as which encoding and with which delimiter it was read."""
    shown = {name: file[name] for name in ("field", "name", "bytes", "sha256")}
    if "layout" in file:
        written = layout_from_json(file["layout"]).written
        shown |= {"encoding": written.name, "delimiter": written.delimiter}
    return shown


def progress_document(row: Row) -> list[dict[str, Any]]:
    """Lists each step in order: waiting, running, done or failed, and how much of it is done."""
    steps, here = list[dict[str, Any]](), STEPS.index(row["step"])
    for place, step in enumerate(STEPS):
        if row["kind"] == "process" and step == "attachments":
            continue
        known = row["progress"].get(step, {})
        state = "done" if place < here or row["state"] == "done" else row["state"] if place == here else "waiting"
        done = {name: known.get(name, default) for name, default in (("done", 0), ("total", None), ("seconds", 0.0))}
        steps.append({"step": step, "state": state, **done})
    return steps


def links_of(row: Row) -> dict[str, str]:
    """Says where to look next."""
    base = f"/pipeline-runs/{row['id']}"
    links = {"self": base, "events": f"{base}/events"}
    return links | ({"retry": f"{base}/retry"} if row["state"] == "failed" else {})
