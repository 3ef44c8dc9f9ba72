"""Commands on people."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from civicpulse.cli.base import DataDir, OperatorError, TenantSlug, group, wanted_tenant, with_services

if TYPE_CHECKING:
    from civicpulse.base.services import Services

people_app = group("People and their data.")


@people_app.command("erase")
def people_erase(
    citizen_id: Annotated[UUID, typer.Argument(metavar="ID", help="The citizen's id.")],
    tenant: TenantSlug,
    data: DataDir = None,
) -> None:
    """Erases a person by law: profile, contacts, and all that they wrote or sent. Twice is once."""

    from civicpulse.base.clients.storage import Storage
    from civicpulse.base.errors import NotFound
    from civicpulse.base.events import platform
    from civicpulse.privacy.erasing import erase

    async def work(services: "Services") -> str:
        found = await wanted_tenant(services, tenant)
        storage = Storage(services.settings.storage_url)
        async with services.db.transaction(found) as tx:
            kinds = await erase(tx, platform("cli"), storage, citizen_id)
        return ", ".join(f"{kind}: {many}" for kind, many in kinds.items()) or "nothing was left to erase"

    try:
        typer.echo(with_services(data, work))
    except NotFound as error:
        raise OperatorError(f"{error.detail} The tenant {tenant} has no citizen {citizen_id}.") from error
