"""Command on the calls of a language model."""

from typing import Annotated

import orjson
import typer

from civicpulse.base.db import Row
from civicpulse.cli.base import DataDir, at_work, run, wanted_tenant
from civicpulse.triage.queries import NEWEST, list_calls


def llm_calls(
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")],
    purpose: Annotated[str | None, typer.Option(help="analysis or duplicate.")] = None,
    outcome: Annotated[str | None, typer.Option(help="ok, timeout, http_429 and the like.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    data: DataDir = None,
) -> None:
    """Lists a tenant's calls of the language model, a JSON object a line: cost, outcome, what was masked, never the text."""

    async def work() -> list[Row]:
        async with at_work(data) as services:
            found = await wanted_tenant(services, tenant)
            async with services.db.transaction(found) as tx:
                return await list_calls(tx, purpose=purpose, outcome=outcome, before=NEWEST, limit=limit)

    for call in run(work):
        typer.echo(orjson.dumps(call).decode())
