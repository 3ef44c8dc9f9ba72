"""What every group of operator commands stands on: the database to work on, services, messages on stderr."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from civicpulse.base.embedded import embedded_server
from civicpulse.base.migrate import make_ready
from civicpulse.base.services import Services, open_services
from civicpulse.base.tenancy import Tenant
from civicpulse.settings import Settings, default_data_dir

say = Console(stderr=True, highlight=False)
T = TypeVar("T")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Data directory of the embedded server; without it CIVICPULSE_DATABASE_URL, else ./data."
    ),
]


@contextmanager
def database(data: Path | None) -> Iterator[Settings]:
    """Reads the settings, with the URL of the database to work on; an embedded one is started and migrated if need be."""
    settings = database_settings(data)
    if data is None and settings.database_url:
        yield settings
        return
    with embedded_server(data or default_data_dir()) as url:
        yield replace(settings, database_url=make_ready(url), migration_url=url)


def database_settings(data: Path | None) -> Settings:
    """Reads the settings; of an embedded server, files and keys lie in its data directory, unless that is set."""
    settings = Settings.from_environment()
    if data is None and settings.database_url:
        return settings
    folder = (data or default_data_dir()).resolve()
    return replace(
        settings,
        storage_url=settings.storage_url or (folder / "files").as_uri(),
        audit_dir=settings.audit_dir or str(folder / "audit"),
    )


@asynccontextmanager
async def at_work(data: Path | None) -> AsyncIterator[Services]:
    """Opens the services for one command."""
    with database(data) as settings:
        async with open_services(replace(settings, pool_size=min(settings.pool_size, 8))) as services:
            yield services


async def wanted_tenant(services: Services, slug: str) -> Tenant:
    """Finds the tenant called `slug`; ends the command with a message when there is none."""
    tenant = await services.tenants.by_slug(slug)
    if tenant is None:
        known = ", ".join(tenant.slug for tenant in await services.tenants.all()) or "none yet"
        raise typer.BadParameter(f"there is no tenant {slug!r} (there are: {known})")
    return tenant


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Runs a command's coroutine."""

    async def main() -> T:
        return await work()

    return asyncio.run(main())


def progress_bar() -> Progress:
    """Makes the bar that long work shows, on stderr."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=say,
    )
