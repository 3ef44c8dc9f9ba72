"""The sample tenants of `civicpulse up`: made beside the database that is served, and put in its place when they are whole.

So a sample that is broken off leaves nothing behind: the next start begins it again, and whatever an operator has made meanwhile
is never touched.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from civicpulse.base.embedded import DATABASE, beside
from civicpulse.base.log import configure_logging
from civicpulse.base.logins import application_url
from civicpulse.base.services import open_services
from civicpulse.cli.base import OperatorError, say
from civicpulse.sample.build import Hears, build_samples
from civicpulse.settings import Settings

MAKING, BEFORE = "civicpulse_sample", "civicpulse_before_sample"


def prepare(url: str, data: Path, *, storage_url: str, sample: bool, scale: float) -> dict[str, Any]:
    """Makes the samples when there is no tenant yet; gives their log-ins, if there are any."""
    kept = data / "sample-logins.json"
    if sample and not _has_tenants(url):
        began = time.monotonic()
        say(f"sample    making three tenants, once; what they log goes to {data / 'sample.log'}")
        logins = _make(url, data, storage_url, scale)
        if _put_in_place(url):
            kept.touch(mode=0o600)
            kept.write_text(json.dumps(logins, indent=2))
            say(f"sample    ready in {time.monotonic() - began:.1f} s")
        else:
            say("sample    left out: a tenant was made meanwhile")
    return json.loads(kept.read_text()) if sample and kept.exists() else {}


def _has_tenants(url: str) -> bool:
    with psycopg.connect(url) as owner:
        return owner.execute("SELECT 1 FROM tenants LIMIT 1").fetchone() is not None


def _make(url: str, data: Path, storage_url: str, scale: float) -> dict[str, Any]:
    """Builds the samples in a copy of the empty database."""
    making = beside(url, MAKING)
    with psycopg.connect(beside(url, "postgres"), autocommit=True) as owner:
        owner.execute(_named("DROP DATABASE IF EXISTS {} WITH (FORCE)", MAKING))
        with _alone_in_it():
            owner.execute(_named("CREATE DATABASE {} TEMPLATE {}", MAKING, DATABASE))
    settings = Settings(
        database_url=application_url(making), migration_url=making, pool_size=8, storage_url=storage_url
    )

    async def main(hears: Hears) -> dict[str, Any]:
        async with open_services(settings) as services:
            return await build_samples(services, scale=scale, hears=hears)

    with _logged_to(data / "sample.log"), _progress() as hears:
        return asyncio.run(main(hears))


def _put_in_place(url: str) -> bool:
    """Lets the copy with the samples be the database; False when that has got a tenant of its own meanwhile."""
    with psycopg.connect(beside(url, "postgres"), autocommit=True) as owner:
        # Nobody finds it under this name any more; who is connected makes this fail, and loses nothing.
        with _alone_in_it():
            owner.execute(_named("ALTER DATABASE {} RENAME TO {}", DATABASE, BEFORE))
        is_free = not _has_tenants(beside(url, BEFORE))
        taken, dropped = (MAKING, BEFORE) if is_free else (BEFORE, MAKING)
        owner.execute(_named("ALTER DATABASE {} RENAME TO {}", taken, DATABASE))
        owner.execute(_named("DROP DATABASE {} WITH (FORCE)", dropped))
    return is_free


@contextmanager
def _alone_in_it() -> Iterator[None]:
    """Tells what to do when somebody else is connected to the database that is copied or renamed."""
    try:
        yield
    except psycopg.errors.ObjectInUse:
        raise OperatorError(
            "another command works on this database, so the sample cannot be put there: start again when it has ended"
        ) from None


def _named(statement: LiteralString, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))


@contextmanager
def _logged_to(file: Path) -> Iterator[None]:
    """Keeps log lines out of the progress that the operator watches."""
    level = Settings.from_environment().log_level
    with file.open("w", encoding="utf-8") as stream:
        configure_logging(level, stream)
        try:
            yield
        finally:
            configure_logging(level)


@contextmanager
def _progress() -> Iterator[Hears]:
    """Shows how far the sample is: a bar on a terminal, elsewhere a line a tenant and one for each quarter of its days."""
    if not sys.stderr.isatty():
        told = dict[str, int]()

        def tell(name: str, lived: float, days: float) -> None:
            quarter = int(4 * lived / days)
            if quarter != told.get(name):
                told[name] = quarter
                say(f"sample    {name}: day {lived:.0f} of {days:.0f}")

        yield tell
        return
    columns = (
        TextColumn("sample    {task.description}"),
        BarColumn(),
        TextColumn("day {task.completed:.0f} of {task.total:.0f}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda name, lived, days: bar.update(task, description=name, completed=lived, total=days)
