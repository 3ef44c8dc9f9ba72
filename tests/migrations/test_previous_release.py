"""The release before this one works on today's tables, at the same time as today's code (docs/migrations.md)."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from builders import PHOTO, add_agent, report
from psycopg import sql

from civicpulse.app import create_app
from civicpulse.base.logins import application_url
from civicpulse.settings import Settings
from conftest import TEMPLATE, with_database

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
PREVIOUS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["civicpulse"]["previous-release"]
READY_SECONDS = 60


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def previous_source() -> Iterator[Path]:
    """The code of the previous release, out of the repository's own history."""
    absent = f"previous release not run: no {PREVIOUS['version']} ({PREVIOUS['commit'][:7]}) in a git history here"
    if shutil.which("git") is None or git("cat-file", "-e", PREVIOUS["commit"]).returncode != 0:
        pytest.skip(absent)
    with tempfile.TemporaryDirectory(prefix="civicpulse-previous-") as folder:
        archive = git("archive", PREVIOUS["commit"], "src").stdout
        with tarfile.open(fileobj=BytesIO(archive)) as packed:
            packed.extractall(folder, filter="data")
        yield Path(folder) / "src"


class Release:
    """Commands and processes of the previous release on one database."""

    def __init__(self, source: Path, url: str) -> None:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("CIVICPULSE_")}
        files = (source.parent / "files").as_uri()
        self.environment = mine | {
            "PYTHONPATH": str(source),
            "CIVICPULSE_DATABASE_URL": url,
            "CIVICPULSE_STORAGE_URL": files,
        }
        self.command = [sys.executable, "-c", "from civicpulse.cli import main; main()"]
        self.log = source.parent / "previous.log"

    def version(self) -> str:
        """Which code runs, and from where: it must not be today's by mistake."""
        asked = "from pathlib import Path; import civicpulse as c; print(c.__version__, Path(c.__file__).parents[1])"
        return self._said([sys.executable, "-c", asked])

    def run(self, *arguments: str) -> str:
        """What a command says; it must succeed."""
        return self._said([*self.command, *arguments])

    def _said(self, command: list[str]) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=90, check=False, cwd="/"
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A process that goes on; what it says is kept for the message of a failure."""
        with self.log.open("ab") as log:
            return subprocess.Popen([*self.command, *arguments], env=self.environment, stdout=log, stderr=log)


@pytest.fixture
def database(server_url: str) -> Iterator[str]:
    """A database of its own, migrated by today's code."""
    with psycopg.connect(server_url, autocommit=True) as owner:
        name = f"previous_{os.getpid()}"
        owner.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
        yield with_database(server_url, name)
        owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def release(previous_source: Path, database: str) -> Release:
    """The previous release, with a tenant that it has made itself."""
    found = Release(previous_source, database)
    assert found.version() == f"{PREVIOUS['version']} {previous_source}"
    found.run("tenant", "create", "town", "--pack", "civic")
    return found


@pytest.fixture
async def old(release: Release) -> AsyncIterator[httpx.AsyncClient]:
    """A dispatcher's client of the previous release's API; its worker runs beside it."""
    token = release.run("token", "create", "--tenant", "town", "--role", "admin")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [release.start("serve", "--port", str(port)), release.start("worker")]
    try:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
            await until(lambda: ready(client), f"the previous release is not ready: {release.log}")
            yield client
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


async def ready(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.HTTPError):
        return (await client.get("/health/ready")).status_code == 200
    return False


async def until(holds: Callable[[], Any], message: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not await holds():
        assert time.monotonic() < deadline, message
        await asyncio.sleep(0.1)


@pytest.fixture
async def new(database: str, old: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Opens today's API for the caller of `old`, on the same database."""
    app = create_app(
        Settings(database_url=application_url(database), migration_url=database, anonymous_writes_per_minute=0)
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        sent = {"Authorization": old.headers["Authorization"]}
        async with httpx.AsyncClient(transport=transport, base_url="http://town.test", headers=sent) as client:
            yield client


async def made_by(client: httpx.AsyncClient, **changes: Any) -> str:
    answer = await client.post("/requests/", json=report(**changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["request_id"])


async def change(client: httpx.AsyncClient, number: str, verb: str, **body: Any) -> None:
    answer = await client.patch(f"/requests/{number}/{verb}", json=body)
    assert answer.status_code == 200, answer.text


async def listed(client: httpx.AsyncClient) -> dict[str, str]:
    answer = await client.get("/requests/?limit=100")
    assert answer.status_code == 200, answer.text
    return {item["request_id"]: item["status"] for item in answer.json()["items"]}


async def test_both_releases_work_on_the_same_requests(
    old: httpx.AsyncClient, new: httpx.AsyncClient, release: Release, database: str
) -> None:
    agent = (await add_agent(old))["agent_code"]
    numbers = [await made_by(old, lat=40.5), await made_by(new, lat=40.6)]
    assert len(set(numbers)) == 2
    for number, (one, other) in zip(numbers, ((old, new), (new, old)), strict=True):
        await change(other, number, "transition", to="triaged", priority="P2")
        await change(one, number, "transition", to="assigned", assigned_agent_id=agent)
        await change(other, number, "milestone", milestone="work_started")
        await change(one, number, "milestone", milestone="resolution", evidence=[PHOTO])
    await change(old, numbers[0], "transition", to="closed")
    assert await listed(old) == await listed(new) == {numbers[0]: "closed", numbers[1]: "resolved"}

    master = await made_by(old, lat=40.7)
    duplicate = (await new.post("/requests/", json=report(lat=40.7))).json()
    assert duplicate["duplicates"]["master_request_id"] == master
    assert duplicate["request_id"] in (await old.get(f"/requests/{master}")).json()["duplicates"]["linked_duplicates"]
    for client in (old, new):
        for number in numbers:
            trail = (await client.get(f"/requests/{number}/events")).json()["items"]
            assert len(trail) >= 6, trail

    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as owner:

        async def drained() -> bool:
            waiting = await (await owner.execute("SELECT count(*) FROM outbox")).fetchone()
            return waiting == (0,)

        await until(drained, f"the previous release's worker left events: {release.log.read_text()}")
        parked = await (await owner.execute("SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL")).fetchone()
        assert parked == (0,)
    release.run("audit", "verify")
    assert (await old.get("/analytics/kpis")).status_code == 200
