"""Step 3: offices and tickets are placed on the map; what cannot be found is said so and goes on (R-CSV-05)."""

from collections.abc import Sequence
from typing import Final

from civicpulse.base.db import Row
from civicpulse.centre import staging
from civicpulse.centre.rows import Fault, address_parts
from civicpulse.centre.run import Run
from civicpulse.places.geocoding import AddressParts, ask_ahead, geocode_many
from civicpulse.places.offices import place_offices, unplaced_offices

BATCH: Final = 2_000
ONLINE_BATCH: Final = 100  # a server answers once a second, and a batch must not outlast its lease
MAX_ONLINE: Final = 500  # addresses of a run that are asked for; the rest is found offline, and asked for another time


async def geocode(run: Run) -> None:
    """Places what has no place yet."""
    if not run.progress.get("offices"):
        await _offices(run)
    while rows := await _next(run):
        parts = [address_parts(row["given"]) for row in rows]
        await _ask(run, parts)
        async with run.batch() as tx:
            places = await geocode_many(tx, parts, online=run.services.geocoder, max_online=0)
            found = [{"position": row["position"], "place": place} for row, place in zip(rows, places, strict=True)]
            await staging.place(tx, run.id, found)
            run.count("tickets_placed", sum(place.quality != "none" for place in places))
            run.progress.update(done=run.progress["done"] + len(rows), after=rows[-1]["position"])
    async with run.batch():
        run.enter("analyse", total=run.todo)


async def _next(run: Run) -> list[Row]:
    limit = BATCH if run.services.geocoder is None else ONLINE_BATCH
    async with run.services.db.transaction(run.tenant) as tx:
        return await staging.next_tickets(tx, run.id, after=run.progress.get("after", 0), limit=limit)


async def _offices(run: Run) -> None:
    async with run.services.db.transaction(run.tenant) as tx:
        _, parts = await unplaced_offices(tx)
    await _ask(run, parts)
    async with run.batch() as tx:
        for name in await place_offices(tx, online=run.services.geocoder, max_online=0):
            words = run.say("office_not_found", name=name)
            run.tell([Fault(run.name_of("business_units"), None, words, "warning")])
        run.progress["offices"] = True


async def _ask(run: Run, parts: Sequence[AddressParts]) -> None:
    """Asks the online geocoder where there is one, before the transaction."""
    left = MAX_ONLINE - run.progress.get("asked", 0)
    if run.services.geocoder is not None and left > 0:
        limit = min(left, ONLINE_BATCH)
        asked = await ask_ahead(run.services.db, run.tenant, parts, run.services.geocoder, limit=limit)
        run.progress["asked"] = run.progress.get("asked", 0) + asked
