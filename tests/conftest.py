"""A real PostgreSQL for every test: one server a run, one database a worker, one tenant a test."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

# What takes a second to load is loaded by the fixtures that need it: tests of rules run without.
if TYPE_CHECKING:
    import httpx
    from fastapi import FastAPI

    from civicpulse.base.db import Tx
    from civicpulse.base.services import Services
    from civicpulse.base.tenancy import Tenant

# Tests need the real engine, not its durability: that has tests of its own on servers of their own.
QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}
RUN_DIR = "CIVICPULSE_TEST_DIR"
TEMPLATE = "civicpulse_template"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
NOT_RUN = "real-data tests not run: no ../shared/data"
_numbers = itertools.count(1)

# Properties are tried on the same few examples each time, in CI (`--hypothesis-profile thorough`) on the same many:
# a change that breaks one is caught, and one that does not never fails. `--hypothesis-profile explore` draws new ones.
# How fast the machine draws examples decides nothing.
ANY_PACE: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=30, derandomize=True, **ANY_PACE)
settings.register_profile("thorough", max_examples=300, derandomize=True, **ANY_PACE)
settings.register_profile("explore", max_examples=1000, **ANY_PACE)
settings.load_profile("quick")


def with_database(url: str, name: str) -> str:
    """`url` for another database of the same server."""
    return url.replace("@/civicpulse?", f"@/{name}?")


def pytest_configure(config: pytest.Config) -> None:
    """One folder a run, shared by its workers. Not pytest's own: that is closed to the user that runs the server."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN_DIR] = tempfile.mkdtemp(prefix="civicpulse-test-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The folder goes with the run."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[RUN_DIR], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test that reads the real data, so that `-m realdata` and `-m "not realdata"` choose them."""
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("realdata")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says in one line, and counts on their own, the tests that had nothing to read beside the project."""
    skipped = terminalreporter.stats.get("skipped", [])
    missed = [report for report in skipped if NOT_RUN in str(report.longrepr)]
    if missed:
        terminalreporter.stats["not run"] = missed
        terminalreporter.stats["skipped"] = [report for report in skipped if report not in missed]
        terminalreporter.write_line(f"{NOT_RUN} ({len(missed)} tests)")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The run's server; its template database is migrated once, whatever the number of workers."""
    import psycopg
    from psycopg import sql

    from civicpulse.base.embedded import embedded_server
    from civicpulse.base.migrate import make_ready

    shared = Path(os.environ[RUN_DIR])
    with embedded_server(shared / "server", extra=QUICK) as url:
        with (shared / "template.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with psycopg.connect(url, autocommit=True) as owner:
                if owner.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE]).fetchone() is None:
                    owner.execute("CREATE DATABASE making_template")
                    make_ready(with_database(url, "making_template"))
                    owner.execute(
                        sql.SQL("ALTER DATABASE making_template RENAME TO {}").format(sql.Identifier(TEMPLATE))
                    )
        yield url


def new_database(server_url: str, name: str) -> str:
    """Clones the migrated template; the URL of the new database as its owner (a superuser)."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(server_url, autocommit=True) as owner:
        owner.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE)
            )
        )
    return with_database(server_url, name)


@pytest.fixture(scope="session")
def database_url(server_url: str, worker_id: str) -> str:
    """This worker's own migrated database, as its owner (a superuser)."""
    return new_database(server_url, f"test_{worker_id}")


@pytest.fixture
def own_database_url(server_url: str, worker_id: str) -> str:
    """A migrated database for one test: what the planner knows of it, that test alone has told."""
    return new_database(server_url, f"own_{worker_id}_{next(_numbers)}")


@asynccontextmanager
async def started_app(database_url: str, pool_size: int) -> AsyncIterator[FastAPI]:
    """The web app over `database_url`, started."""
    from civicpulse.app import create_app
    from civicpulse.base.logins import application_url
    from civicpulse.settings import Settings

    built = create_app(
        Settings(
            database_url=application_url(database_url),
            migration_url=database_url,
            pool_size=pool_size,
            storage_url=Path(os.environ[RUN_DIR], "files").as_uri(),
            anonymous_writes_per_minute=0,
            anonymous_reads_per_minute=0,
            lock_timeout_seconds=60,  # a slow machine is no fault
            statement_timeout_seconds=120,
        )
    )
    async with built.router.lifespan_context(built):
        yield built


@pytest.fixture(scope="session")
async def app(database_url: str) -> AsyncIterator[FastAPI]:
    """The web app, started."""
    async with started_app(database_url, pool_size=40) as built:
        yield built


@dataclass(frozen=True)
class City:
    """A fresh tenant and ways to talk to it."""

    app: FastAPI
    tenant: Tenant

    @property
    def services(self) -> Services:
        """The app's services."""
        services: Services = self.app.state.services
        return services

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """A committed transaction of this tenant."""
        async with self.services.db.transaction(self.tenant) as tx:
            yield tx

    async def token(self, role: str, actor_id: Any = None) -> str:
        """A new token for `role`."""
        from civicpulse.accounts.tokens import create_token

        async with self.transaction() as tx:
            return await create_token(tx, role=role, actor_id=actor_id, label=role)

    async def client(self, role: str | None = None, actor_id: Any = None, **headers: str) -> httpx.AsyncClient:
        """An HTTP client for a caller of `role` (None: anonymous); an answer that is not declared fails the test."""
        import httpx

        from declared import checker

        sent = {"X-Tenant": self.tenant.slug, **headers}
        if role is not None:
            sent["Authorization"] = f"Bearer {await self.token(role, actor_id)}"
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        hooks = {"response": [checker(self.app)]}
        return httpx.AsyncClient(
            transport=transport, base_url="http://city.test", headers=sent, timeout=30, event_hooks=hooks
        )


@cache
def pack_text(pack: str) -> str:
    """A shipped pack's document as JSON: reading its YAML takes longer than most tests."""
    from civicpulse.packs.loader import read_pack

    return read_pack(pack).model_dump_json()


async def make_city(app: FastAPI, database_url: str, pack: str = "civic", **changes: object) -> City:
    """A new tenant with its own copy of `pack`; `changes` replace top-level keys of the pack document."""
    import psycopg

    from civicpulse.accounts.tenants import create_tenant

    document = json.loads(pack_text(pack)) | changes
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        slug = f"city-{Path(database_url.split('?')[0]).name.replace('_', '-')}-{next(_numbers)}"
        tenant = await create_tenant(owner, slug=slug, name="A test city", kind="city", pack_document=document)
    return City(app, tenant)


@pytest.fixture
async def city(app: FastAPI, database_url: str) -> City:
    """A tenant with the civic pack, no zones, no agents."""
    return await make_city(app, database_url)


@pytest.fixture
async def lone_city(own_database_url: str) -> AsyncIterator[City]:
    """A tenant alone in its database, for tests of what the planner chooses."""
    async with started_app(own_database_url, pool_size=4) as built:
        yield await make_city(built, own_database_url)


@pytest.fixture
async def other_city(app: FastAPI, database_url: str) -> City:
    """A second tenant, to try to cross the wall from."""
    return await make_city(app, database_url)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data of cities, kept beside the project and never in it."""
    if not SHARED_DATA.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{NOT_RUN} ({SHARED_DATA}), and under CI=true they must be")
        pytest.skip(NOT_RUN)
    return SHARED_DATA
