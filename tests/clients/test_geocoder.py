"""Nominatim against a real local server that speaks its protocol: one request a second, cached, failing, slow."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI

from civicpulse.base.clients.geocoder import GeocoderUnavailable, NominatimClient, quality_of
from civicpulse.places.geocoding import AddressParts, geocode_many
from conftest import City, make_city

HIT = {
    "lat": "43.25",
    "lon": "76.95",
    "place_rank": 30,
    "display_name": "7, Садовая, Алматы",
    "address": {"country_code": "kz"},
}


class Server(ThreadingHTTPServer):
    """Answers `answers` by the wanted mode and notes when it was asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mode = "hit"
        self.asked: list[tuple[float, dict[str, list[str]]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """GET /search."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((time.monotonic(), parse_qs(urlsplit(self.path).query)))
        if self.server.mode == "hang":
            time.sleep(3)
        body = {"hit": json.dumps([HIT]), "none": "[]", "broken": "<html>", "odd": '[{"lat": "x"}]'}.get(
            self.server.mode, ""
        )
        self.send_response(429 if self.server.mode == "busy" else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def nominatim() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
async def company(app: FastAPI, database_url: str) -> City:
    return await make_city(app, database_url, pack="contact_centre")


HOUSE = AddressParts("Казахстан", "г. Алматы", "Алматы", "ул. Садовая", "7")


async def test_an_answer_is_better_than_the_gazetteers_and_is_kept(company: City, nominatim: Server) -> None:
    online = NominatimClient(nominatim.url, company.services.db, pause_seconds=0)
    for _ in range(2):
        async with company.transaction() as tx:
            place = (await geocode_many(tx, [HOUSE, HOUSE], online=online))[1]
        assert (place.quality, place.lon, place.country_code, place.source) == ("house", 76.95, "KZ", "nominatim")
    assert len(nominatim.asked) == 1
    asked = nominatim.asked[0][1]
    assert asked["q"] == ["ул. Садовая 7, Алматы, г. Алматы, Казахстан"]
    assert asked["countrycodes"] == ["kz"]


async def test_nothing_found_is_kept_too_and_answered_offline(company: City, nominatim: Server) -> None:
    nominatim.mode = "none"
    online = NominatimClient(nominatim.url, company.services.db, pause_seconds=0)
    for _ in range(2):
        async with company.transaction() as tx:
            place = (await geocode_many(tx, [HOUSE], online=online))[0]
        assert (place.quality, place.source) == ("town", "gazetteer")
    assert len(nominatim.asked) == 1


@pytest.mark.parametrize("mode", ["hang", "broken", "odd", "busy"])
async def test_a_failing_server_costs_one_try_a_batch(company: City, nominatim: Server, mode: str) -> None:
    nominatim.mode = mode
    online = NominatimClient(nominatim.url, company.services.db, timeout_seconds=0.3, pause_seconds=0)
    others = [AddressParts("Казахстан", None, "Тараз", "Абая", str(n)) for n in range(20)]
    started = time.monotonic()
    async with company.transaction() as tx:
        places = await geocode_many(tx, others, online=online)
    assert {place.source for place in places} == {"gazetteer"}
    assert len(nominatim.asked) == 1
    assert time.monotonic() - started < 5, "not twenty time-outs"
    nominatim.mode = "hit"
    async with company.transaction() as tx:  # nothing of the failure was kept
        assert (await geocode_many(tx, others[:1], online=online))[0].source == "nominatim"


async def test_a_server_that_is_not_there_is_unavailable(company: City) -> None:
    client = NominatimClient("http://127.0.0.1:9", company.services.db, timeout_seconds=0.3, pause_seconds=0)
    with pytest.raises(GeocoderUnavailable):
        await client.search("Алматы")


async def test_one_request_at_a_time_across_processes(company: City, nominatim: Server) -> None:
    pause = 0.25
    clients = [NominatimClient(nominatim.url, company.services.db, pause_seconds=pause) for _ in range(3)]
    await asyncio.gather(*(client.search(f"Дом {n}") for n, client in enumerate(clients * 2)))
    moments = sorted(moment for moment, _ in nominatim.asked)
    assert len(moments) == 6
    assert min(later - earlier for earlier, later in itertools.pairwise(moments)) >= pause * 0.9


async def test_at_most_so_many_are_asked_in_one_call(company: City, nominatim: Server) -> None:
    online = NominatimClient(nominatim.url, company.services.db, pause_seconds=0)
    others = [AddressParts("Казахстан", None, "Тараз", "Абая", str(n)) for n in range(9)]
    async with company.transaction() as tx:
        places = await geocode_many(tx, others, online=online, max_online=4)
    assert [place.source for place in places].count("nominatim") == 4


def test_ranks_are_qualities() -> None:
    assert [quality_of(rank) for rank in (30, 26, 16, 8, 4)] == ["house", "town", "town", "region", None]
