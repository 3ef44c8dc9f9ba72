"""A throw-away database and the real API process in front of it; both are gone when the block ends."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.reports import zones
from civicpulse.accounts.tenants import create_tenant
from civicpulse.accounts.tokens import create_token
from civicpulse.base.embedded import embedded_server
from civicpulse.base.logins import application_url
from civicpulse.base.migrate import make_ready
from civicpulse.base.services import open_services
from civicpulse.base.tenancy import Tenant
from civicpulse.packs.loader import read_pack
from civicpulse.places.zones import import_zones
from civicpulse.settings import Settings

READY_SECONDS = 60
STAFF = "dispatcher"


class BenchError(RuntimeError):
    """The bench cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class City:
    """A tenant with its zones and a staff token."""

    tenant: Tenant
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What a staff caller sends."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(slots=True)
class Server:
    """The running server. `log` holds what the API process said, `database_log` what PostgreSQL said."""

    url: str
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    peak_kb: int = 0
    cities: dict[str, City] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """The API process's log."""
        return self.folder / "api.log"

    @property
    def database_log(self) -> Path:
        """PostgreSQL's log."""
        return self.folder / "data" / "postgres" / "server.log"

    @property
    def settings(self) -> Settings:
        """Settings for work of our own on the database."""
        return Settings(database_url=application_url(self.url), migration_url=self.url, pool_size=4)

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the product needs to find this database and to end with us."""
        return os.environ | {"CIVICPULSE_DATABASE_URL": application_url(self.url), "CIVICPULSE_LOG_LEVEL": "WARNING"}

    def owner(self) -> psycopg.Connection[Any]:
        """A connection as the database's owner, in autocommit."""
        return psycopg.connect(self.url, autocommit=True)

    def city(self, slug: str, *, pack: str = "civic") -> City:
        """The tenant called `slug`, made at the first call with that pack and the 20 zones."""
        if slug not in self.cities:
            self.cities[slug] = asyncio.run(self._make_city(slug, pack))
        return self.cities[slug]

    async def _make_city(self, slug: str, pack: str) -> City:
        document = read_pack(pack).model_dump(mode="json")
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as owner:
            await create_tenant(owner, slug=slug, name=slug, kind="city", pack_document=document)
        file = self.folder / "zones.geojson"
        file.write_bytes(orjson.dumps(zones()))
        async with open_services(self.settings) as services:
            tenant = await services.tenants.by_slug(slug)
            assert tenant is not None
            async with services.db.transaction(tenant) as tx:
                await import_zones(tx, file, code_property="code", name_property="name")
                token = await create_token(tx, role=STAFF, label="bench")
        return City(tenant, token)

    def start_api(self) -> None:
        """Starts the API process on a free port and waits until it is ready."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "civicpulse.cli.main", "serve", "--port", str(self.port)]
        # No limit on anonymous callers: all of ours come from one address.
        environment = self.environment | {
            "CIVICPULSE_PARENT_PID": str(os.getpid()),
            "CIVICPULSE_ANONYMOUS_READS_PER_MINUTE": "0",
            "CIVICPULSE_ANONYMOUS_WRITES_PER_MINUTE": "0",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace").splitlines()[-15:]
                raise BenchError("\n".join(["the API process did not start:", *tail]))
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def api_cpu(self) -> float:
        """Seconds of CPU that the API process has used so far."""
        assert self.process is not None
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def stop_api(self) -> None:
        """Stops the API process, noting its peak memory first."""
        if self.process is None:
            return
        self.peak_kb = max(self.peak_kb, peak_memory_kb(self.process.pid))
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart_api(self) -> None:
        """A new API process, with caches and connections of its own."""
        self.stop_api()
        self.start_api()


def peak_memory_kb(pid: int) -> int:
    """The most memory that the process held at any time, in kB; what it holds now where the system does not say, 0 after its end."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        return int(psutil.Process(pid).memory_info().rss // 1024)
    except (OSError, psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0  # it has ended


@contextmanager
def bench_server() -> Iterator[Server]:
    """A server of its own, durable as the product ships it, with the API running. Nothing of it stays."""
    folder, sockets = Path(tempfile.mkdtemp(prefix="civicpulse-bench-")), ""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with embedded_server(folder / "data") as url:
            sockets = str(conninfo_to_dict(url)["host"])
            make_ready(url)
            server = Server(url, folder)
            try:
                server.start_api()
                yield server
            finally:
                server.stop_api()
    finally:
        signal.signal(signal.SIGTERM, before)
        for made in (str(folder), sockets):
            shutil.rmtree(made, ignore_errors=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
