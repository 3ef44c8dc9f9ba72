"""What the operator commands do: one function for each command's work, loaded when it runs."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from civicpulse.accounts.roles import roles_of, unknown_role
from civicpulse.accounts.tenants import create_tenant
from civicpulse.accounts.tokens import issue_token
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.cli.base import progress_bar
from civicpulse.exports.dump import dump_documents
from civicpulse.imports.load import import_requests
from civicpulse.imports.report import ImportReport
from civicpulse.insight.jobs import measure_tenant
from civicpulse.insight.scores.scores import compute_scores, latest_score
from civicpulse.packs.loader import read_pack
from civicpulse.requests.actions import find_agent
from civicpulse.settings import Settings


async def create_tenant_from(settings: Settings, *, slug: str, pack: str, name: str, kind: str) -> Tenant:
    """Makes a tenant from a shipped pack or a file, as the database's owner."""
    document = read_pack(pack).model_dump(mode="json")
    url = settings.migration_url or settings.database_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        return await create_tenant(owner, slug=slug, name=name, kind=kind, pack_document=document)


async def make_token(
    services: Services, tenant: Tenant, *, role: str, actor: str | None, label: str, days: int | None
) -> tuple[UUID, str]:
    """Makes a new token and gives its id and its text; an agent may be named by code."""
    async with services.db.transaction(tenant) as tx:
        roles = await roles_of(tx)
        if (wanted := roles.get(role)) is None:
            raise unknown_role(role, roles.of_tokens)
        actor_id: UUID | None = None
        if actor is not None:
            actor_id = UUID(actor) if wanted.kind == "citizen" else (await find_agent(tx, actor))["id"]
        lifetime = timedelta(days=days) if days else None
        return await issue_token(tx, role=role, actor_id=actor_id, label=label, lifetime=lifetime)


async def score_now(services: Services, tenant: Tenant) -> tuple[int, int, float | None]:
    """Measures resolutions, writes scores, and gives the tenant's own score."""
    measured = await measure_tenant(services, tenant)
    async with services.db.transaction(tenant) as tx:
        written = await compute_scores(tx)
        return measured, written, (await latest_score(tx, public_only=False))["score"]


async def load_requests(services: Services, tenant: Tenant, file: Path, *, mapping: str, dry_run: bool) -> ImportReport:
    """Imports requests, showing rows as they are read."""
    with progress_bar() as bar:
        task = bar.add_task(file.name, total=None)
        return await import_requests(
            services, tenant, file, mapping, dry_run=dry_run, progress=lambda rows: bar.update(task, completed=rows)
        )


async def dump(services: Services, tenant: Tenant, out: Path) -> dict[str, int]:
    """Writes the five collections; documents by collection."""
    with progress_bar() as bar:
        task = bar.add_task("documents", total=None)
        async with services.db.transaction(tenant) as tx:
            return await dump_documents(tx, out, progress=lambda count: bar.update(task, completed=count))
