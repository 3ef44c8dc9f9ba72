"""Operator commands of the audit trail: verify, checkpoint, prove, and the key that signs."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.progress import Progress

from civicpulse.audit.jobs import Notary
from civicpulse.audit.keys import Keyring
from civicpulse.audit.prove import prove
from civicpulse.audit.verify import Findings, Verifier, last_position, missing_tenants
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.cli.base import DataDir, at_work, database_settings, progress_bar, run, say, wanted_tenant

audit_app = typer.Typer(no_args_is_help=True, help="The audit trail.")
key_app = typer.Typer(no_args_is_help=True, help="The key that signs checkpoints.")
audit_app.add_typer(key_app, name="key")

TenantOption = Annotated[str | None, typer.Option(help="Only this tenant.")]


@audit_app.command("verify")
def verify(
    tenant: TenantOption = None,
    since_checkpoint: Annotated[
        bool, typer.Option("--since-checkpoint", help="Only what was added or changed since the last checkpoint.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the last run was broken off.")] = False,
    files: Annotated[bool, typer.Option("--files/--no-files", help="Read every stored file, too.")] = True,
    data: DataDir = None,
) -> None:
    """Works out anew whether trails, rows, texts, files, chain and checkpoints agree. Exit 1 and each kind of fault when not."""

    async def work() -> list[tuple[str, Findings]]:
        async with at_work(data) as services:
            with progress_bar() as bar:
                found = [
                    (one.slug, await _verify(services, one, bar, since=since_checkpoint, resume=resume, files=files))
                    for one in await _wanted(services, tenant)
                ]
            return found if tenant else found + await _gone(services)

    found = run(work)
    for slug, findings in found:
        for note in notes_of(findings):
            say.print(f"{slug}: {note}")
    faults = [(slug, kind, words) for slug, one in found for kind, words in one.faults.items()]
    for slug, kind, words in faults:
        typer.echo(f"{slug}: {words} [{kind}]")
    if faults:
        raise typer.Exit(1)
    typer.echo(f"{sum(one.events for _, one in found)} events verified, the trail is whole")


async def _verify(
    services: Services, tenant: Tenant, bar: Progress, *, since: bool, resume: bool, files: bool
) -> Findings:
    settings = services.settings
    folder = Path(settings.audit_dir or "data/audit")
    kept = folder / f"verify-{tenant.tenant_id}.json"
    findings = (Findings.load(kept) if resume else None) or Findings(str(tenant.tenant_id))
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
        keep=lambda found: found.save(kept),
    )
    await verifier.run()
    kept.unlink(missing_ok=True)
    return findings


async def _gone(services: Services) -> list[tuple[str, Findings]]:
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


async def _wanted(services: Services, slug: str | None) -> list[Tenant]:
    return [await wanted_tenant(services, slug)] if slug else await services.tenants.all()


@audit_app.command("checkpoint")
def checkpoint(tenant: TenantOption = None, data: DataDir = None) -> None:
    """Signs each tenant's chain now, and writes the checkpoint to the file store, the log and the second party."""

    async def work() -> None:
        async with at_work(data) as services, _notary(services) as notary:
            for one in await _wanted(services, tenant):
                signed = await notary.checkpoint(one, anyway=True)
                if signed is None:
                    typer.echo(f"{one.slug}: there is no event yet")
                else:
                    typer.echo(
                        f"{one.slug}: checkpoint {signed.number}, block {signed.position}, {signed.body['head']}"
                    )

    run(work)


@asynccontextmanager
async def _notary(services: Services) -> AsyncIterator[Notary]:
    settings = services.settings
    yield Notary(
        services.db,
        Storage(settings.storage_url),
        Keyring(settings.audit_dir),
        witness_url=settings.audit_witness_url,
    )


@audit_app.command("prove")
def prove_request(
    number: Annotated[str, typer.Argument(metavar="REQUEST", help="Number of the request, such as CST-2026-000123.")],
    tenant: Annotated[str | None, typer.Option(help="Slug; without it the default tenant.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; without it, stdout.")] = None,
    with_texts: Annotated[bool, typer.Option("--with-texts", help="Put description and comments in.")] = False,
    data: DataDir = None,
) -> None:
    """Makes a bundle by which somebody else checks the request's trail, with scripts/check_proof.py and the public key."""

    async def work() -> dict[str, Any]:
        async with at_work(data) as services:
            found = await wanted_tenant(services, tenant) if tenant else await services.tenants.default()
            if found is None:
                raise typer.BadParameter("there is no tenant yet")
            async with services.db.transaction(found) as tx:
                return await prove(tx, number, Keyring(services.settings.audit_dir).entries(), with_texts=with_texts)

    bundle = run(work)
    document = orjson.dumps(bundle, option=orjson.OPT_INDENT_2)
    if out is None:
        typer.echo(document.decode())
    else:
        out.write_bytes(document)
        say.print(f"{len(bundle['events'])} events written to {out}")
    if bundle["unproved"]:
        say.print(
            f"events {', '.join(map(str, bundle['unproved']))} are in no checkpoint yet: 'civicpulse audit checkpoint'"
        )


@key_app.command("show")
def key_show(data: DataDir = None) -> None:
    """Prints the public keys, oldest first: id, since when, and the key itself in base64."""
    entries = Keyring(database_settings(data).audit_dir).entries()
    if not entries:
        say.print("there is no key yet: 'civicpulse audit key rotate' makes one")
    for entry in entries:
        typer.echo(f"{entry['id']}  {entry['since']}  {entry['public']}")


@key_app.command("rotate")
def key_rotate(data: DataDir = None) -> None:
    """Makes a new key, which signs from now on; it and the one before vouch for each other. The first time, the first key."""
    key = Keyring(database_settings(data).audit_dir).rotate(at=clock.wall())
    typer.echo(f"{key.id}  {base64.b64encode(key.public).decode()}")
