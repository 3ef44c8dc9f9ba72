"""Real server processes, killed in the middle of their work (R-AUD-04, R-OPS-01)."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from builders import report

pytestmark = pytest.mark.server

CONNECTIONS = 8
READY_SECONDS = 60
COMMAND = [sys.executable, "-m", "civicpulse.cli.main"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CIVICPULSE_")}


def civicpulse(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """An operator command on that data directory."""
    command = [*COMMAND, *arguments, "--data", str(data)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=90, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether somebody else could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def postmaster(data: Path) -> psutil.Process | None:
    """The database's first process, if it lives."""
    with suppress(FileNotFoundError, psutil.NoSuchProcess, IndexError, ValueError):
        return psutil.Process(int((data / "postgres" / "postmaster.pid").read_text().splitlines()[0]))
    return None


@dataclass
class Site:
    """A data directory with one tenant, whose servers are started and killed."""

    data: Path
    token: str
    port: int = field(default_factory=free_port)

    @property
    def headers(self) -> dict[str, str]:
        """What a dispatcher sends."""
        return {"Authorization": f"Bearer {self.token}"}

    def client(self) -> httpx.AsyncClient:
        """A client of the running server."""
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=self.headers, timeout=20)

    async def until_ready(self) -> None:
        """Waits for the API."""
        async with self.client() as client:
            deadline = time.monotonic() + READY_SECONDS
            while time.monotonic() < deadline:
                with suppress(httpx.HTTPError):
                    if (await client.get("/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.1)
        raise AssertionError(f"not ready: {(self.data / 'up.log').read_text()}")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Made by operator commands alone, while no server runs. Not in pytest's folder: the database is another user."""
    data = Path(tempfile.mkdtemp(prefix="civicpulse-crash-"))
    try:
        made = civicpulse(data, "tenant", "create", "harbour")
        assert made.returncode == 0, made.stderr
        token = civicpulse(data, "token", "create", "--tenant", "harbour", "--role", "dispatcher")
        assert token.returncode == 0, token.stderr
        assert token.stdout.count("\n") == 1, "the token stands alone on stdout"
        assert postmaster(data) is None, "the last command to leave stops the database"
        yield Site(data, token.stdout.strip())
    finally:
        if (database := postmaster(data)) is not None:
            database.send_signal(signal.SIGQUIT)
            psutil.wait_procs([database], timeout=10)
        shutil.rmtree(data, ignore_errors=True)


def start(site: Site) -> subprocess.Popen[bytes]:
    """`civicpulse up` on the site's port."""
    command = [*COMMAND, "up", "--data", str(site.data), "--no-sample", "--port", str(site.port)]
    with (site.data / "up.log").open("w") as log:
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)


@asynccontextmanager
async def running(site: Site) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`civicpulse up`, ready; nothing of it outlives the block."""
    up = start(site)
    try:
        await site.until_ready()
        yield up
    finally:
        for process in tree(site, up):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        up.wait(10)


def tree(site: Site, up: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """`up`, its children, the database and the database's children."""
    found: list[psutil.Process] = []
    for root in (psutil.Process(up.pid) if up.poll() is None else None, postmaster(site.data)):
        if root is not None:
            with suppress(psutil.NoSuchProcess):
                found += [root, *root.children(recursive=True)]
    return found


def child(up: subprocess.Popen[bytes], name: str) -> psutil.Process:
    """The API process (`serve`) or the worker."""
    (found,) = [process for process in psutil.Process(up.pid).children() if name in process.cmdline()]
    return found


async def gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still live after so many seconds."""
    return (await asyncio.to_thread(psutil.wait_procs, processes, timeout=seconds))[1]


async def load(site: Site, kill: Callable[[], None], *, after: int, prefix: str) -> tuple[dict[str, str], set[str]]:
    """Reports over eight connections until `kill` strikes: (number by key of what was answered 201, all keys tried)."""
    answered: dict[str, str] = {}
    tried: set[str] = set()

    async def reporter(name: int) -> None:
        async with site.client() as client:
            for index in range(10_000):
                key = f"{prefix}-{name}-{index}"
                tried.add(key)
                try:
                    answer = await client.post("/requests", json=body(key), headers={"Idempotency-Key": key})
                except httpx.HTTPError:
                    return
                if answer.status_code != 201:
                    assert answer.status_code == 503, answer.text
                    return
                answered[key] = answer.json()["request_id"]
                if len(answered) == after:
                    kill()

    await asyncio.gather(*(reporter(name) for name in range(CONNECTIONS)))
    assert len(answered) >= after
    return answered, tried


def body(key: str) -> dict[str, Any]:
    """A report of a kind that is never merged."""
    return report(category="tree_pruning", description=key)


async def check_nothing_lost(site: Site, answered: dict[str, str], tried: set[str]) -> None:
    """Each answered report is there, and what was cut off can be sent again without becoming two."""
    async with site.client() as client:
        for key in sorted(tried):
            again = await client.post("/requests", json=body(key), headers={"Idempotency-Key": key})
            if key in answered:
                assert (again.status_code, again.json()["request_id"]) == (200, answered[key])
                read = await client.get(f"/requests/{answered[key]}")
                assert (read.status_code, read.json()["description"]) == (200, key)
            else:
                assert again.status_code in (200, 201), again.text
        kept: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (
                await client.get("/requests", params={"limit": 500} | ({"cursor": cursor} if cursor else {}))
            ).json()
            kept += [item["description"] for item in page["items"]]
            cursor = page["next_cursor"]
    prefix = next(iter(tried)).split("-")[0]
    assert sorted(key for key in kept if key.startswith(f"{prefix}-")) == sorted(tried)


async def test_nothing_answered_is_lost_whatever_is_killed_under_load(site) -> None:
    async with running(site) as up:
        victim = child(up, "serve")
        by_api = await load(site, victim.kill, after=60, prefix="api")
        await site.until_ready()
        assert child(up, "serve").pid != victim.pid, "up has started another one"
        await check_nothing_lost(site, *by_api)
        assert up.poll() is None
        await check_database_comes_back(site, up)
        whole = tree(site, up)
        assert any("postgres" in process.name() for process in whole)

        def kill_all() -> None:
            for process in whole:
                with suppress(psutil.NoSuchProcess):
                    process.kill()

        by_all = await load(site, kill_all, after=60, prefix="all")
        up.wait(10)
        assert await gone(whole, 10) == []
    async with running(site) as up:
        await check_nothing_lost(site, *by_api)
        await check_nothing_lost(site, *by_all)
        # An operator command works beside the running server.
        verified = await asyncio.to_thread(civicpulse, site.data, "audit", "verify")
        assert (verified.returncode, "the trail is whole" in verified.stdout) == (0, True), verified
        await check_ctrl_c(site, up)


async def check_database_comes_back(site: Site, up: subprocess.Popen[bytes]) -> None:
    """The database alone is killed under load: callers get a 503 or an answer that holds, then it runs again."""
    victim = postmaster(site.data)
    assert victim is not None
    by_database = await load(site, victim.kill, after=30, prefix="base")
    await site.until_ready()
    for _ in range(20):  # connections that broke are noticed and replaced one by one
        async with site.client() as client:
            if (await client.get("/requests")).status_code == 200:
                break
        await asyncio.sleep(0.2)
    await check_nothing_lost(site, *by_database)
    assert up.poll() is None


async def check_ctrl_c(site: Site, up: subprocess.Popen[bytes]) -> None:
    """Ctrl-C stops everything: exit code 0, no process, a free port."""
    whole = tree(site, up)
    up.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(up.wait, 30) == 0
    assert await gone(whole, 5) == []
    assert is_free(site.port)
    assert postmaster(site.data) is None
    assert "stopped" in (site.data / "up.log").read_text()


async def test_a_second_up_touches_nothing_and_children_of_a_killed_one_end_by_themselves(site) -> None:
    async with running(site) as up:
        second = await asyncio.to_thread(civicpulse, site.data, "up", "--no-sample", "--port", str(free_port()))
        assert second.returncode == 2
        told = second.stderr.replace("\n", " ")
        assert "already runs" in told
        assert f"http://127.0.0.1:{site.port}" in told
        async with site.client() as client:
            assert (await client.post("/requests", json=body("still here"))).status_code == 201
        children = [child(up, "serve"), child(up, "worker")]
        up.kill()
        up.wait(10)
        assert await gone(children, 20) == []
        assert is_free(site.port)
        swept = await asyncio.to_thread(civicpulse, site.data, "sla", "sweep")
        assert (swept.returncode, "escalations" in swept.stdout) == (0, True), swept
        assert postmaster(site.data) is None, "the database that was left behind is stopped by the last to leave"


async def test_a_taken_port_is_told_and_nothing_is_left_running(site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = await asyncio.to_thread(civicpulse, site.data, "up", "--no-sample", "--port", port)
    assert done.returncode == 2
    assert port in done.stderr
    assert postmaster(site.data) is None
