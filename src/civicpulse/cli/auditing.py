"""The work of the commands on the audit trail, loaded when one runs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.progress import Progress

from civicpulse.audit.jobs import Notary
from civicpulse.audit.keys import Keyring
from civicpulse.audit.verify import Findings, Verifier, last_position, missing_tenants
from civicpulse.base.clients.storage import Storage
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.cli.base import progress_bar


async def verify_all(
    services: Services, tenants: Sequence[Tenant], *, since: bool, resume: bool, files: bool
) -> list[tuple[str, Findings]]:
    """Verifies each of the tenants; gives what was found, by slug."""
    with progress_bar() as bar:
        return [
            (one.slug, await _verify(services, one, bar, since=since, resume=resume, files=files)) for one in tenants
        ]


async def _verify(
    services: Services, tenant: Tenant, bar: Progress, *, since: bool, resume: bool, files: bool
) -> Findings:
    settings = services.settings
    kept = Path(settings.audit_dir, f"verify-{tenant.tenant_id}.json") if settings.audit_dir else None
    findings = (Findings.load(kept) if kept and resume else None) or Findings(str(tenant.tenant_id))
    if since and not findings.since:
        findings.since = await last_position(services.db, tenant)
    task = bar.add_task(f"verifying {tenant.slug}", total=None)
    verifier = Verifier(
        services.db,
        tenant,
        findings,
        storage=Storage(settings.storage_url),
        keys=Keyring(settings.audit_dir).public_keys(),
        reads_files=files,
        progress=lambda events: bar.update(task, completed=events),
        keep=lambda found: found.save(kept) if kept else None,
    )
    await verifier.run()
    if kept:
        kept.unlink(missing_ok=True)
    return findings


async def gone_tenants(services: Services) -> list[tuple[str, Findings]]:
    """Finds tenants of which checkpoints tell, and whose rows are gone."""
    storage = Storage(services.settings.storage_url)
    return [(one.tenant, one) for one in await missing_tenants(await services.tenants.all(), storage)]


def notes_of(findings: Findings) -> list[str]:
    """Tells what was found besides faults."""
    notes = list(findings.notes)
    if findings.erased:
        notes.append(f"{findings.erased} erasures of texts, as the trail says")
    if findings.unvouched:
        notes.append(
            f"{findings.unvouched} requests were not held against their trails: an earlier release wrote to them last"
        )
    return notes


@asynccontextmanager
async def notary(services: Services) -> AsyncIterator[Notary]:
    """Opens what signs checkpoints."""
    settings = services.settings
    yield Notary(
        services.db,
        Storage(settings.storage_url),
        Keyring(settings.audit_dir),
        witness_url=settings.audit_witness_url,
    )
