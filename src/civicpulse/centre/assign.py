"""Step 5: whoever waits in the queue gets a manager, highest priority first (R-ASG-05)."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from civicpulse.centre.run import ACTOR, MAX_TICKETS, Run
from civicpulse.requests.assignment.bulk import Place, assign_queued, queued

AHEAD: Final = 50_000  # places in the queue that are looked up at once
BATCH: Final = 1_000


async def assign(run: Run) -> None:
    """Gives out the whole queue as it stands, also what earlier runs or other ways in have left in it."""
    while places := await _ahead(run):
        total = run.progress["done"] + len(places)
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            async with run.batch() as tx:
                given = await assign_queued(tx, ACTOR, run.pack, [place.id for place in batch])
                run.count("tickets_assigned", len(given))
                run.count("tickets_unassigned", len(batch) - len(given))
                if run.row["kind"] == "process":
                    _show(run, given)
                done = run.progress["done"] + len(batch)
                run.progress.update(done=done, total=total, after=_json(batch[-1]))
    async with run.batch():
        run.progress["total"] = run.progress["done"]


async def _ahead(run: Run) -> list[Place]:
    async with run.services.db.transaction(run.tenant) as tx:
        return await queued(tx, run.pack, after=_place(run.progress.get("after")), limit=AHEAD)


def _show(run: Run, given: list[UUID]) -> None:
    """Keeps what was given out, for the answer to POST /process."""
    shown = run.row["ticket_ids"]
    seen = set(shown)
    shown += [one for one in given if one not in seen][: max(0, MAX_TICKETS - len(shown))]


def _json(place: Place) -> list[Any]:
    return [place.score, place.at.isoformat(), str(place.id)]


def _place(stored: list[Any] | None) -> Place | None:
    return None if stored is None else Place(stored[0], datetime.fromisoformat(stored[1]), UUID(stored[2]))
