"""What every group of operator commands stands on: the installation to work on, services, messages on stderr.

Nothing that takes long to load is imported at the top of this file, nor of those that declare commands: `civicpulse --help`
answers at once, and a command loads what it needs when it runs.
"""

import asyncio
import fcntl
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from civicpulse.settings import Settings, default_data_dir

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from civicpulse.base.services import Services
    from civicpulse.base.tenancy import Tenant

T = TypeVar("T")
FIGURE = re.compile(r"[\d.,]+%?")
NEVER_WRAPPED = 10_000  # columns of what is no terminal

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Data directory of an embedded server; without it CIVICPULSE_DATABASE_URL, else ./data.",
    ),
]
TenantSlug = Annotated[
    str, typer.Option("--tenant", metavar="SLUG", help="The tenant's slug ('tenant list' has them).")
]
DefaultTenant = Annotated[
    str | None, typer.Option("--tenant", metavar="SLUG", help="The tenant's slug; without it the default tenant.")
]
OneTenant = Annotated[str | None, typer.Option("--tenant", metavar="SLUG", help="Only this tenant.")]


class OperatorError(RuntimeError):
    """Something the operator can put right; the message says how."""


def group(about: str) -> typer.Typer:
    """Makes a group of commands."""
    made = typer.Typer(no_args_is_help=True, help=about, rich_markup_mode=None)
    made.callback()(lambda: None)  # a group with one command is a group all the same
    return made


def say(message: str, *, color: str | None = None) -> None:
    """Tells the operator something, on stderr: stdout is for what was asked for."""
    typer.secho(message, err=True, fg=color)


def tables() -> "Console":
    """Makes the console for tables on stdout: as wide as the terminal, and never wrapped anywhere else."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else NEVER_WRAPPED)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """Prints a table on stdout; an empty cell for None."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        is_figures = bool(rows) and all(FIGURE.fullmatch(str(row[number])) for row in rows)
        table.add_column(column, justify="right" if is_figures else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    tables().print(table)


def progress_bar() -> "Progress":
    """Makes the bar that long work shows on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True, highlight=False), disable=not sys.stderr.isatty())


class Process:
    """Whether this process is the command's own, as `main` says: only then is its logging ours to set."""

    is_own = False


def read_settings() -> Settings:
    """Reads the settings and lets the process log as they say."""
    settings = Settings.from_environment()
    if Process.is_own:
        from civicpulse.base.log import configure_logging

        configure_logging(settings.log_level)
    return settings


@contextmanager
def database(data: Path | None, *, make: bool = False) -> Iterator[Settings]:
    """Reads the settings, with the URL of the database to work on; an embedded one is started and migrated if need be.

    Says which installation that is. Raises OperatorError where there is none, unless it may be made, and where it does not answer.
    """
    settings = database_settings(data)
    if data is None and settings.database_url:
        from civicpulse.cli.reaching import reach, shown

        reach(settings.database_url, seconds=0)
        say(f"on {shown(settings.database_url)} (CIVICPULSE_DATABASE_URL)")
        yield settings
        return
    from civicpulse.base.embedded import embedded_server, is_made
    from civicpulse.base.migrate import make_ready

    folder = (data or default_data_dir()).expanduser().absolute()
    if not make and not is_made(folder):
        raise OperatorError(
            f"there is no CivicPulse in {folder}: name its folder with --data, or make one with 'civicpulse up --data {folder}'"
        )
    serves = served_by(folder)
    say(f"on {folder}" + (f", which serves {serves}" if serves else ", which no 'civicpulse up' serves now"))
    with embedded_server(folder, tell=say) as url:
        yield replace(settings, database_url=make_ready(url), migration_url=url)


def database_settings(data: Path | None) -> Settings:
    """Reads the settings; of an embedded server, files and keys lie in its data directory, unless that is set."""
    settings = read_settings()
    if data is None and settings.database_url:
        return settings
    folder = (data or default_data_dir()).resolve()
    return replace(
        settings,
        storage_url=settings.storage_url or (folder / "files").as_uri(),
        audit_dir=settings.audit_dir or str(folder / "audit"),
    )


def lock_of(data: Path) -> Path:
    """Names the file that `civicpulse up` on this data holds locked, with its address in it."""
    return data / "up.lock"


def served_by(data: Path) -> str | None:
    """Finds the address at which a running `civicpulse up` serves this data; None when there is none."""
    with suppress(OSError), lock_of(data).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip().rpartition(" ")[2] or None
    return None


@asynccontextmanager
async def at_work(data: Path | None) -> "AsyncIterator[Services]":
    """Opens the services for one command."""
    from civicpulse.base.services import open_services

    with database(data) as settings:
        async with open_services(replace(settings, pool_size=min(settings.pool_size, 8))) as services:
            yield services


async def wanted_tenant(services: "Services", slug: str) -> "Tenant":
    """Finds the tenant called `slug`; ends the command with a message when there is none."""
    tenant = await services.tenants.by_slug(slug)
    if tenant is None:
        known = ", ".join(tenant.slug for tenant in await services.tenants.all()) or "none yet"
        raise OperatorError(f"there is no tenant {slug!r} (there are: {known})")
    return tenant


async def wanted_tenants(services: "Services", slug: str | None) -> "list[Tenant]":
    """Finds the tenant called `slug`, or all when none is named."""
    return [await wanted_tenant(services, slug)] if slug else list(await services.tenants.all())


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Runs a command's coroutine."""

    async def main() -> T:
        return await work()

    return asyncio.run(main())


def with_services(data: Path | None, work: "Callable[[Services], Awaitable[T]]") -> T:
    """Runs a command's work with services that are open meanwhile."""

    async def main() -> Any:
        async with at_work(data) as services:
            return await work(services)

    result: T = asyncio.run(main())
    return result
