"""Offices: upserted by name, placed on the map (a contact centre calls them business units, other help desks say franchises)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from civicpulse.base import clock
from civicpulse.base.clients.geocoder import NominatimClient
from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor, record
from civicpulse.base.ids import new_id
from civicpulse.places import geo_queries
from civicpulse.places.geocoding import MAX_ONLINE, AddressParts, geocode_many, home_country
from civicpulse.places.offline import stated_town
from civicpulse.rules.distribution import OfficeFacts


@dataclass(frozen=True, slots=True)
class OfficeDraft:
    """An office as a file or a form has it; the name is its natural key."""

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class OfficesPut:
    """The ids of all named offices by name, and the names of those that were added and changed."""

    ids: Mapping[str, UUID]
    added: tuple[str, ...]
    changed: tuple[str, ...]


async def put_offices(tx: Tx, actor: Actor, drafts: Sequence[OfficeDraft]) -> OfficesPut:
    """Adds offices and changes addresses, by name; of two drafts with one name the last counts.

    An office whose address changed loses its coordinates: `place_offices` finds them anew. Offices that are not named
    stay.
    """
    latest = {draft.name: draft for draft in drafts}
    rows = [(new_id(), name, latest[name].address) for name in sorted(latest)]  # in one order: no deadlocks
    now = clock.now()
    touched = await geo_queries.put_offices(tx, rows, at=now)
    added = tuple(sorted(row["name"] for row in touched if row["added"]))
    changed = tuple(sorted(row["name"] for row in touched if not row["added"]))
    if touched:
        meta = {"added": list(added), "changed": list(changed)}
        await record(
            tx,
            actor,
            subject_id=tx.tenant_id,
            subject_type="tenant",
            seq=None,
            type="tenant.offices_put",
            at=now,
            meta=meta,
        )
    return OfficesPut(await geo_queries.office_ids(tx, list(latest)), added, changed)


async def place_offices(tx: Tx, *, online: NominatimClient | None = None, max_online: int = MAX_ONLINE) -> list[str]:
    """Geocodes the offices that were not looked for since their address last changed; the names of those not found.

    An office called after its town is found by its name where the address does not clearly say another one.
    """
    rows, parts = await unplaced_offices(tx)
    if not rows:
        return []
    places = await geocode_many(tx, parts, online=online, max_online=max_online)
    await geo_queries.place_offices(
        tx, [(row["id"], place) for row, place in zip(rows, places, strict=True)], at=clock.now()
    )
    return [row["name"] for row, place in zip(rows, places, strict=True) if place.quality == "none"]


async def unplaced_offices(tx: Tx) -> tuple[list[Row], list[AddressParts]]:
    """Finds the offices that were not looked for since their address last changed, and the address of each."""
    rows = [row for row in await geo_queries.list_offices(tx) if row["geo_quality"] is None]
    country = await home_country(tx)
    towns = [stated_town(row["address"], country) or row["name"] for row in rows]
    return rows, [
        AddressParts(country=country, town=town, raw=row["address"]) for row, town in zip(rows, towns, strict=True)
    ]


async def list_offices(tx: Tx) -> list[Row]:
    """Lists every office with all columns, by name."""
    return await geo_queries.list_offices(tx)


def office_facts(rows: Sequence[Row]) -> list[OfficeFacts]:
    """Makes facts of rows of `list_offices`, as the rules take them."""
    return [OfficeFacts(row["id"], row["name"], row["lon"], row["lat"]) for row in rows]
