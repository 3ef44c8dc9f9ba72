"""A real server process, a small city, and Debian's Chromium; every page is watched for errors and foreign requests."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from civicpulse.base.logins import application_url
from civicpulse.places.zones import import_zones
from civicpulse.portal.bundle import BundleMissingError, BundleShelf
from conftest import City, make_city

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
WEST, SOUTH, STEP = -74.04, 40.68, 0.02
NAMES = ("Harbour", "Old Town", "Hillside", "Mill Lane", "Riverside", "Station")


def zone_file(folder: Path) -> Path:
    """Six square zones, three by two."""
    features = []
    for index, name in enumerate(NAMES):
        west, south = WEST + STEP * (index % 3), SOUTH + STEP * (index // 3)
        ring = [[west, south], [west + STEP, south], [west + STEP, south + STEP], [west, south + STEP], [west, south]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"code": f"Z-{index}", "name": name}, "geometry": geometry})
    path = folder / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


async def report_some(city: City) -> None:
    """Twelve reports close together in Old Town, three elsewhere, all of them far enough apart to be no duplicates."""
    places = [(WEST + STEP * 1.3 + 0.0018 * (n % 4), SOUTH + STEP * 0.3 + 0.0018 * (n // 4)) for n in range(12)]
    places += [(WEST + 0.004, SOUTH + 0.004), (WEST + 0.05, SOUTH + 0.03), (WEST + 0.01, SOUTH + 0.033)]
    async with await city.client() as client:
        for number, (lon, lat) in enumerate(places):
            body = {
                "citizen_ref": {"citizen_id": None, "anonymous": True, "contact_channel": "none"},
                "category": "pothole",
                "description": f"Pothole number {number}",
                "location": {"type": "Point", "coordinates": [lon, lat], "address_hint": f"{number + 1} Long Street"},
            }
            answer = await client.post("/requests/", json=body)
            assert answer.status_code == 201, answer.text


@dataclass(frozen=True)
class Site:
    """The running server and the city it serves by default."""

    url: str
    city: City


@pytest.fixture(scope="session")
def built_pages() -> None:
    """The bundle and axe, without which nothing here means anything."""
    try:
        BundleShelf().current()
    except BundleMissingError:
        pytest.fail("The pages have not been built: run `make setup`.")
    if not AXE.is_file():
        pytest.fail("axe-core is not installed: run `make setup`.")


@pytest.fixture(scope="session")
async def town(app: FastAPI, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> City:
    """A city with zones and reports."""
    city = await make_city(app, database_url)
    async with city.transaction() as tx:
        await import_zones(tx, zone_file(tmp_path_factory.mktemp("zones")), code_property="code", name_property="name")
    await report_some(city)
    return city


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def site(built_pages: None, town: City, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`civicpulse serve` as a process of its own."""
    port, log = free_port(), tmp_path_factory.mktemp("serve") / "log"
    environment = os.environ | {
        "CIVICPULSE_DATABASE_URL": application_url(database_url),
        "CIVICPULSE_DEFAULT_TENANT": town.tenant.slug,
        "CIVICPULSE_ANONYMOUS_WRITES_PER_MINUTE": "0",
        "CIVICPULSE_ANONYMOUS_READS_PER_MINUTE": "0",
    }
    program = Path(sys.executable).with_name("civicpulse")
    with log.open("w") as out:
        server = subprocess.Popen([program, "serve", "--port", str(port)], env=environment, stdout=out, stderr=out)
    try:
        _await_server(f"http://127.0.0.1:{port}", server, log)
        yield Site(f"http://127.0.0.1:{port}", town)
    finally:
        server.terminate()
        server.wait(30)


def _await_server(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(200):
        if server.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"The server did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium; Playwright brings no browser of its own."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("No Chromium found. Install it: apt-get install chromium (Debian, Ubuntu), or Google Chrome.")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        await launched.close()


@dataclass
class Watch:
    """What a page must not do, collected while a test runs."""

    origin: str
    faults: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Watches `page`: console errors (a broken content policy is one), uncaught errors, foreign requests."""
        page.on("console", lambda said: self.faults.append(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        if not url.startswith((self.origin + "/", "data:", "blob:" + self.origin)):
            self.faults.append(f"foreign request: {url}")


class Visitor:
    """Opens pages in one window."""

    def __init__(self, site: Site, context: BrowserContext, watch: Watch) -> None:
        self.site = site
        self.context = context
        self.watch = watch

    async def open(self, path: str) -> Page:
        """The page at `path` in a new tab."""
        page = await self.context.new_page()
        self.watch.over(page)
        await page.goto(self.site.url + path)
        return page

    async def map(self, path: str = "/") -> Page:
        """The public map, drawn."""
        page = await self.open(path)
        await page.wait_for_selector("#map[data-state=ready]")
        await page.wait_for_selector(".cp-group, .cp-single")
        return page


@pytest.fixture
async def visit(site: Site, browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Visitor]:
    """A visitor; `@pytest.mark.parametrize("visit", [{…}], indirect=True)` sets window size, colours, touch."""
    wanted: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
    context = await browser.new_context(**(wanted | getattr(request, "param", {})))
    context.set_default_timeout(20_000)
    watch = Watch(site.url)
    yield Visitor(site, context, watch)
    await context.close()
    assert watch.faults == []
