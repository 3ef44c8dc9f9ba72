"""Commands on tenants and their tokens."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias
from uuid import UUID

import typer

from civicpulse.cli.base import (
    DataDir,
    OneTenant,
    OperatorError,
    TenantSlug,
    database,
    group,
    run,
    say,
    show_table,
    wanted_tenant,
    wanted_tenants,
    with_services,
)

if TYPE_CHECKING:
    from civicpulse.base.services import Services

tenant_app = group("Tenants.")
token_app = group("API tokens.")

# `packs.schemas.Kind`, which takes long to load.
Kind: TypeAlias = Literal["city", "building", "campus", "hotel", "facility", "company"]


@tenant_app.command("create", epilog="Example: civicpulse tenant create boston --pack civic --name 'City of Boston'")
def tenant_create(
    slug: Annotated[str, typer.Argument(help="Short name in lower case, such as boston.")],
    pack: Annotated[str, typer.Option(help="civic, campus or contact_centre, or a path to a YAML file.")] = "civic",
    name: Annotated[str | None, typer.Option(help="The tenant's name for people.")] = None,
    kind: Annotated[Kind, typer.Option(help="What the tenant is.")] = "city",
    data: DataDir = None,
) -> None:
    """Makes a tenant from a pack."""
    from civicpulse.cli import work

    with database(data, make=True) as settings:
        tenant = run(lambda: work.create_tenant_from(settings, slug=slug, pack=pack, name=name or slug, kind=kind))
    say(f"tenant {tenant.slug} ({tenant.tenant_id}) created with pack {pack}")


@tenant_app.command("list")
def tenant_list(data: DataDir = None) -> None:
    """Lists the tenants: slug, name, kind, id."""
    found = with_services(data, lambda services: services.tenants.all())
    show_table(("slug", "name", "kind", "id"), [(one.slug, one.name, one.kind, one.tenant_id) for one in found])


@token_app.command(
    "create", epilog="Example: civicpulse token create --tenant boston --role dispatcher --label 'front desk'"
)
def token_create(
    tenant: TenantSlug,
    role: Annotated[
        str,
        typer.Option(help="One of the roles of the tenant's pack: admin, dispatcher, agent …; a wrong one names them."),
    ],
    actor: Annotated[
        str | None, typer.Option(help="Id of the citizen, or id or code of the agent, that the token stands for.")
    ] = None,
    label: Annotated[str, typer.Option(help="Words to know it by in 'token list'.")] = "",
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; without it, never.")] = None,
    data: DataDir = None,
) -> None:
    """Makes a token and prints it, alone, on stdout. It cannot be shown again; its id can."""
    from civicpulse.cli import work

    async def make(services: "Services") -> tuple[UUID, str]:
        found = await wanted_tenant(services, tenant)
        return await work.make_token(services, found, role=role, actor=actor, label=label, days=days)

    token_id, token = with_services(data, make)
    say(f"token {token_id}: 'civicpulse token revoke {token_id} --tenant {tenant}' ends it")
    typer.echo(token)


@token_app.command("list")
def token_list(
    tenant: OneTenant = None,
    every: Annotated[bool, typer.Option("--all", help="Those that have ended as well.")] = False,
    data: DataDir = None,
) -> None:
    """Lists the tokens that work: id, role, label, whom they stand for, since and until when. Never the tokens themselves."""
    from civicpulse.accounts.tokens import list_tokens

    async def look(services: "Services") -> list[tuple[object, ...]]:
        rows = []
        for found in await wanted_tenants(services, tenant):
            async with services.db.transaction(found) as tx:
                rows += [(found.slug, *row.values()) for row in await list_tokens(tx, ended=every)]
        return rows

    columns = ("tenant", "id", "role", "label", "stands for", "made", "until", "ended")
    rows = with_services(data, look)
    show_table(
        columns, [tuple(f"{cell:%Y-%m-%d %H:%M}" if hasattr(cell, "hour") else cell for cell in row) for row in rows]
    )


@token_app.command("revoke")
def token_revoke(
    token_id: Annotated[UUID, typer.Argument(help="The token's id, as 'token list' shows it.")],
    tenant: TenantSlug,
    data: DataDir = None,
) -> None:
    """Ends a token by its id."""
    from civicpulse.accounts.tokens import revoke_token

    async def end(services: "Services") -> bool:
        async with services.db.transaction(await wanted_tenant(services, tenant)) as tx:
            return await revoke_token(tx, token_id)

    if not with_services(data, end):
        raise OperatorError(
            f"{tenant} has no live token {token_id}: 'civicpulse token list --tenant {tenant}' shows them"
        )
    say("revoked")
