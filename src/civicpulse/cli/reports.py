"""Commands on the inbox of reports."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from civicpulse.cli.base import DataDir, TenantSlug, group, wanted_tenant, with_services

if TYPE_CHECKING:
    from civicpulse.base.services import Services

reports_app = group("The inbox of reports.")


@reports_app.command("retry", epilog="Example: civicpulse reports retry --all --tenant lakeside-university")
def reports_retry(
    tenant: TenantSlug,
    report_id: Annotated[UUID | None, typer.Argument(metavar="ID", help="One report.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every parked report.")] = False,
    data: DataDir = None,
) -> None:
    """Puts parked reports back to be processed, with all their tries before them."""
    if every == (report_id is not None):
        raise typer.BadParameter("name one report by its id, or all parked ones by --all")

    from civicpulse.reports.actions import retry
    from civicpulse.reports.queries import retry_parked

    async def work(services: "Services") -> int:
        async with services.db.transaction(await wanted_tenant(services, tenant)) as tx:
            if report_id is None:
                return await retry_parked(tx)
            await retry(tx, report_id)
            return 1

    typer.echo(f"{with_services(data, work)} reports put back")
