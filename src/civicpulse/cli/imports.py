"""Commands that bring in data from elsewhere."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from civicpulse.cli.base import DataDir, TenantSlug, group, wanted_tenant, with_services

if TYPE_CHECKING:
    from civicpulse.base.services import Services
    from civicpulse.imports.report import ImportReport
    from civicpulse.people.roster import RosterReport
    from civicpulse.places.zones import ZoneReport

import_app = group("Data from elsewhere.")


def _tell(lines: Iterable[str], *, is_failure: bool) -> None:
    """Prints what an import did; exit 1 when it failed."""
    for line in lines:
        typer.echo(line)
    if is_failure:
        raise typer.Exit(1)


@import_app.command("zones", epilog="Example: civicpulse import zones wards.geojson --tenant boston --code WARD")
def import_zones(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="GeoJSON, also .gz.")],
    tenant: TenantSlug,
    code: Annotated[str, typer.Option(metavar="PROPERTY", help="Property that holds the zone's code.")],
    name: Annotated[str | None, typer.Option(metavar="PROPERTY", help="Property that holds its name.")] = None,
    data: DataDir = None,
) -> None:
    """Imports zone polygons; self-intersecting ones are repaired and named. Exit 1 when the file held no zone at all."""
    from civicpulse.places import zones

    async def work(services: "Services") -> "ZoneReport":
        async with services.db.transaction(await wanted_tenant(services, tenant)) as tx:
            return await zones.import_zones(tx, file, code_property=code, name_property=name)

    report = with_services(data, work)
    _tell(report.lines(), is_failure=report.is_empty)


@import_app.command(
    "agents", epilog="Example: civicpulse import agents agents.csv --tenant boston --timezone America/New_York"
)
def import_agents(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="CSV or XLSX with the columns code, name and, where you have them, department, skills, zones, shifts "
            "(Mon-Fri 07:00-15:30; Sat 09:00-13:00), timezone, on_call, phone, roles.",
        ),
    ],
    tenant: TenantSlug,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Time zone of shifts that name none; without it the pack's.")
    ] = None,
    data: DataDir = None,
) -> None:
    """Imports agents with skills, zones and shifts; again changes what differs. Exit 1 when a row could not be used."""
    from civicpulse.people.roster import import_roster

    async def work(services: "Services") -> "RosterReport":
        async with services.db.transaction(await wanted_tenant(services, tenant)) as tx:
            return await import_roster(tx, file, timezone=timezone)

    report = with_services(data, work)
    _tell(report.lines(), is_failure=bool(report.bad))


@import_app.command(
    "requests", epilog="Example: civicpulse import requests 311.csv.gz --tenant boston --mapping boston --dry-run"
)
def import_requests(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, also .gz, or XLSX.")],
    tenant: TenantSlug,
    mapping: Annotated[str, typer.Option(help="boston, chicago or nyc, or a path to your own YAML file.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")] = False,
    data: DataDir = None,
) -> None:
    """Imports a city's 311 file with its true times; again adds nothing; bad rows are listed with line and reason."""
    from civicpulse.cli.work import load_requests

    async def work(services: "Services") -> "ImportReport":
        found = await wanted_tenant(services, tenant)
        return await load_requests(services, found, file, mapping=mapping, dry_run=dry_run)

    report = with_services(data, work)
    _tell(report.lines(), is_failure=bool(report.bad) and report.bad == report.rows)
