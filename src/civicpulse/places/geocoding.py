"""Where addresses lie: the gazetteer always, a Nominatim server besides where the operator names one (R-CSV-05).

A host's own geocoder may know houses; its answers are kept, also "nothing found". When it fails or is slow the rest of
the batch is answered offline, and asked again another time.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from civicpulse.base import clock
from civicpulse.base.clients.geocoder import Found, GeocoderUnavailable, NominatimClient, quality_of
from civicpulse.base.db import Database, Row, Tx
from civicpulse.base.log import get_logger
from civicpulse.base.tenancy import Tenant
from civicpulse.packs.store import current_pack
from civicpulse.places import geo_queries, offline
from civicpulse.places.place import NOWHERE, AddressParts, Place, Quality

__all__ = ["NOWHERE", "AddressParts", "Place", "Quality", "ask_ahead", "geocode_many"]

MAX_ONLINE = 100
ORDER: tuple[Quality, ...] = ("none", "region", "town", "house")
log = get_logger(__name__)


async def geocode_many(
    tx: Tx, parts: Sequence[AddressParts], *, online: NominatimClient | None = None, max_online: int = MAX_ONLINE
) -> list[Place]:
    """Finds a place for each address, in order. Never fails: what cannot be found has quality "none".

    With `online`, addresses that are not in the store are asked for, one a second, at most `max_online` of them in
    this call. An answer counts when it is at least as exact as the gazetteer's.
    """
    home = await home_country(tx)
    places = await asyncio.to_thread(_offline, parts, home)
    if online is None:
        return places
    texts = [_text(address) for address in parts]
    countries = {text: place.country_code or home for text, place in zip(texts, places, strict=True) if text}
    answers = await _answers(tx, countries, online, limit=max_online)
    return [_better(answers.get(text), place) for text, place in zip(texts, places, strict=True)]


async def ask_ahead(
    db: Database, tenant: Tenant, parts: Sequence[AddressParts], online: NominatimClient, *, limit: int = MAX_ONLINE
) -> int:
    """Asks for at most `limit` of the addresses that are not in the store, with no transaction open meanwhile; how many.

    Afterwards `geocode_many` finds the answers with `max_online=0`. Ends early when the server fails.
    """
    async with db.transaction(tenant) as tx:
        home = await home_country(tx)
        places = await asyncio.to_thread(_offline, parts, home)
        texts = [_text(address) for address in parts]
        countries = {text: place.country_code or home for text, place in zip(texts, places, strict=True) if text}
        known = {row["query"] for row in await geo_queries.find_geocodes(tx, list(countries))}
    asked = 0
    for text in [text for text in countries if text not in known][:limit]:
        try:
            place = _place(await online.search(text, country=countries[text]))
        except GeocoderUnavailable as error:
            log.warning("geocoder_unavailable", reason=str(error))
            return limit
        async with db.transaction(tenant) as tx:
            await geo_queries.put_geocode(tx, text, place, at=clock.now())
        asked += 1
    return asked


async def home_country(tx: Tx) -> str | None:
    """Finds the country of addresses that name none, from the tenant's pack."""
    distribution = (await current_pack(tx)).document.distribution
    return distribution.home_country if distribution else None


def _offline(parts: Iterable[AddressParts], home: str | None) -> list[Place]:
    return [offline.find(address, home=home) for address in parts]


def _text(address: AddressParts) -> str:
    """Writes the address in one line, as it is asked and remembered; empty where no town, street or line is given."""
    if not (address.town or address.street or address.raw):
        return ""
    street = " ".join(part for part in (address.street, address.house) if part)
    parts = (address.raw, street, address.town, address.region, address.country)
    return ", ".join(" ".join(part.split()) for part in parts if part and part.strip())


async def _answers(
    tx: Tx, countries: Mapping[str, str | None], online: NominatimClient, *, limit: int
) -> dict[str, Place]:
    stored = await geo_queries.find_geocodes(tx, list(countries))
    answers = {row["query"]: _stored(row) for row in stored}
    missing = [text for text in countries if text not in answers]
    for text in missing[:limit]:
        try:
            found = await online.search(text, country=countries[text])
        except GeocoderUnavailable as error:
            log.warning("geocoder_unavailable", reason=str(error), left=len(missing))
            break
        answers[text] = _place(found)
        await geo_queries.put_geocode(tx, text, answers[text], at=clock.now())
    return answers


def _place(found: Found | None) -> Place:
    quality = quality_of(found.rank) if found else None
    if found is None or quality is None:
        return NOWHERE
    return Place(found.lon, found.lat, ORDER[_rank(quality)], found.country_code, found.name, "nominatim")


def _stored(row: Row) -> Place:
    source = "none" if row["quality"] == "none" else "nominatim"
    return Place(row["lon"], row["lat"], row["quality"], row["country_code"], row["matched"], source)


def _better(online: Place | None, offline_place: Place) -> Place:
    if online is None or _rank(online.quality) < _rank(offline_place.quality) or online.quality == "none":
        return offline_place
    return online


def _rank(quality: str) -> int:
    return ORDER.index(quality)
