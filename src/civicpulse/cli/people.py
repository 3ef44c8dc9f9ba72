"""Commands on people."""

from typing import Annotated
from uuid import UUID

import typer

from civicpulse.base.clients.storage import Storage
from civicpulse.base.errors import NotFound
from civicpulse.base.events import platform
from civicpulse.cli.base import DataDir, at_work, run, wanted_tenant
from civicpulse.privacy.erasing import erase

people_app = typer.Typer(no_args_is_help=True, help="People and their data.")


@people_app.callback()
def _people() -> None:
    """Works on people's data."""


@people_app.command("erase")
def people_erase(
    citizen_id: Annotated[UUID, typer.Argument(metavar="ID", help="The citizen's id.")],
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")],
    data: DataDir = None,
) -> None:
    """Erases a person by law: profile, contacts, and all that they wrote or sent. Twice is once."""

    async def work() -> str:
        async with at_work(data) as services:
            found = await wanted_tenant(services, tenant)
            storage = Storage(services.settings.storage_url)
            async with services.db.transaction(found) as tx:
                kinds = await erase(tx, platform("cli"), storage, citizen_id)
            return ", ".join(f"{kind}: {many}" for kind, many in kinds.items()) or "nothing was left to erase"

    try:
        typer.echo(run(work))
    except NotFound as error:
        raise typer.BadParameter(f"{error.detail} The tenant {tenant} has no citizen {citizen_id}.") from error
