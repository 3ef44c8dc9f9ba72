"""Commands on the inbox of reports."""

from typing import Annotated
from uuid import UUID

import typer

from civicpulse.cli.base import DataDir, at_work, run, wanted_tenant
from civicpulse.reports.actions import retry
from civicpulse.reports.queries import retry_parked

reports_app = typer.Typer(no_args_is_help=True, help="The inbox of reports.")


@reports_app.callback()
def _reports() -> None:
    """Works on the inbox of reports."""


@reports_app.command("retry")
def reports_retry(
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")],
    report_id: Annotated[UUID | None, typer.Argument(metavar="ID", help="One report.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every parked report.")] = False,
    data: DataDir = None,
) -> None:
    """Puts parked reports back to be processed, with all their tries before them."""
    if every == (report_id is not None):
        raise typer.BadParameter("name one report by its id, or all parked ones by --all")

    async def work() -> int:
        async with at_work(data) as services:
            found = await wanted_tenant(services, tenant)
            async with services.db.transaction(found) as tx:
                if report_id is None:
                    return await retry_parked(tx)
                await retry(tx, report_id)
                return 1

    typer.echo(f"{run(work)} reports put back")
