"""Nominatim over HTTP: at most one request a second from all processes together, as its operators ask."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from geopy.adapters import URLLibAdapter
from geopy.exc import GeopyError
from geopy.geocoders import Nominatim

from civicpulse.base.db import Database

USER_AGENT = "civicpulse"
PAUSE_SECONDS = 1.0
TURN_LOCK = 0x0C1F1C_0006
ANSWER_LANGUAGE = "en"

# Nominatim's ranks: 4 country, 8 state, 12 county, 16 town, 26 street, 30 house.
HOUSE_RANK, TOWN_RANK, REGION_RANK = 30, 12, 5


class GeocoderUnavailable(Exception):
    """No answer in time, or one that is none; the address is looked for offline instead."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best hit, in degrees; `rank` is Nominatim's place_rank."""

    lon: float
    lat: float
    rank: int
    country_code: str | None
    name: str


class NominatimClient:
    """Asks one server. `pause_seconds` is the least time between the starts of two requests, across all processes
    that share the database."""

    def __init__(
        self, url: str, db: Database, *, timeout_seconds: float = 5.0, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        parts = urlsplit(url if "//" in url else f"https://{url}")
        self._server = Nominatim(
            scheme=parts.scheme,
            domain=f"{parts.netloc}{parts.path}".rstrip("/"),
            user_agent=USER_AGENT,
            timeout=timeout_seconds,
            adapter_factory=URLLibAdapter,  # the other one repeats failed requests by itself, against the turns
        )
        self._db, self._timeout_seconds, self._pause_seconds = db, timeout_seconds, pause_seconds
        self._one_at_a_time = asyncio.Lock()  # so that a process waits for its turn with one connection only

    async def search(self, text: str, *, country: str | None = None) -> Found | None:
        """Finds the best hit for a free text, within the country where one is given; None when there is none.

        Raises GeocoderUnavailable.
        """
        async with self._one_at_a_time, self._db.gate() as conn:
            await conn.execute("SELECT pg_advisory_lock(%s)", [TURN_LOCK])
            started = time.monotonic()
            try:
                return await self._ask(text, country)
            finally:
                # The turn is passed on only when the second is over.
                await asyncio.sleep(max(0.0, started + self._pause_seconds - time.monotonic()))
                await conn.execute("SELECT pg_advisory_unlock(%s)", [TURN_LOCK])

    async def _ask(self, text: str, country: str | None) -> Found | None:
        wanted = {"country_codes": country.lower()} if country else {}
        ask = asyncio.to_thread(self._server.geocode, text, addressdetails=True, language=ANSWER_LANGUAGE, **wanted)
        try:
            location = await asyncio.wait_for(ask, self._timeout_seconds + 1)
            return None if location is None else _found(location.raw)
        except (GeopyError, TimeoutError, KeyError, TypeError, ValueError) as error:
            # Only the kind: the text of the error holds the address that was asked for.
            raise GeocoderUnavailable(type(error).__name__) from error


def _found(raw: dict[str, Any]) -> Found:
    code = (raw.get("address") or {}).get("country_code")
    return Found(
        lon=float(raw["lon"]),
        lat=float(raw["lat"]),
        rank=int(raw["place_rank"]),
        country_code=code.upper() if code else None,
        name=str(raw.get("display_name") or raw.get("name") or ""),
    )


def quality_of(rank: int) -> str | None:
    """Says how sure a hit of that rank is: house, town, region; None for a whole country."""
    steps = ((HOUSE_RANK, "house"), (TOWN_RANK, "town"), (REGION_RANK, "region"))
    return next((name for least, name in steps if rank >= least), None)
