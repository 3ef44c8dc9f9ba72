"""Command on the calls of a language model."""

from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from civicpulse.cli.base import DataDir, TenantSlug, wanted_tenant, with_services

if TYPE_CHECKING:
    from civicpulse.base.db import Row
    from civicpulse.base.services import Services


def llm_calls(
    tenant: TenantSlug,
    purpose: Annotated[str | None, typer.Option(help="analysis or duplicate.")] = None,
    outcome: Annotated[str | None, typer.Option(help="ok, timeout, http_429 and the like.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    data: DataDir = None,
) -> None:
    """Lists a tenant's calls of the language model, a JSON object a line: cost, outcome, what was masked, never the text."""
    from civicpulse.triage.queries import NEWEST, list_calls

    async def work(services: "Services") -> "list[Row]":
        async with services.db.transaction(await wanted_tenant(services, tenant)) as tx:
            return await list_calls(tx, purpose=purpose, outcome=outcome, before=NEWEST, limit=limit)

    for call in with_services(data, work):
        typer.echo(orjson.dumps(call).decode())
