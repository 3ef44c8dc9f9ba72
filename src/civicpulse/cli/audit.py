"""Operator commands of the audit trail: verify, checkpoint, prove, and the key that signs."""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from civicpulse.cli.base import (
    DataDir,
    DefaultTenant,
    OneTenant,
    OperatorError,
    database_settings,
    group,
    say,
    wanted_tenant,
    wanted_tenants,
    with_services,
)

if TYPE_CHECKING:
    from civicpulse.audit.verify import Findings
    from civicpulse.base.services import Services

audit_app = group("The audit trail.")
key_app = group("The key that signs checkpoints.")
audit_app.add_typer(key_app, name="key")


@audit_app.command("verify")
def verify(
    tenant: OneTenant = None,
    since_checkpoint: Annotated[
        bool, typer.Option("--since-checkpoint", help="Only what was added or changed since the last checkpoint.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the last run was broken off (kept in CIVICPULSE_AUDIT_DIR).")
    ] = False,
    files: Annotated[bool, typer.Option("--files/--no-files", help="Read every stored file, too.")] = True,
    data: DataDir = None,
) -> None:
    """Works out anew whether trails, rows, texts, files, chain and checkpoints agree. Exit 1 and each kind of fault when not."""

    from civicpulse.cli.auditing import gone_tenants, notes_of, verify_all

    async def work(services: "Services") -> "list[tuple[str, Findings]]":
        tenants = await wanted_tenants(services, tenant)
        found = await verify_all(services, tenants, since=since_checkpoint, resume=resume, files=files)
        return found if tenant else found + await gone_tenants(services)

    found = with_services(data, work)
    for slug, findings in found:
        for note in notes_of(findings):
            say(f"{slug}: {note}")
    faults = [(slug, kind, words) for slug, one in found for kind, words in one.faults.items()]
    for slug, kind, words in faults:
        typer.echo(f"{slug}: {words} [{kind}]")
    if faults:
        raise typer.Exit(1)
    typer.echo(f"{sum(one.events for _, one in found)} events verified, the trail is whole")


@audit_app.command("checkpoint")
def checkpoint(tenant: OneTenant = None, data: DataDir = None) -> None:
    """Signs each tenant's chain now, and writes the checkpoint to the file store, the log and the second party."""

    from civicpulse.cli.auditing import notary

    async def work(services: "Services") -> None:
        async with notary(services) as signer:
            for one in await wanted_tenants(services, tenant):
                signed = await signer.checkpoint(one, anyway=True)
                if signed is None:
                    typer.echo(f"{one.slug}: there is no event yet")
                else:
                    typer.echo(
                        f"{one.slug}: checkpoint {signed.number}, block {signed.position}, {signed.body['head']}"
                    )

    with_services(data, work)


@audit_app.command("prove")
def prove_request(
    number: Annotated[str, typer.Argument(metavar="REQUEST", help="Number of the request, such as CST-2026-000123.")],
    tenant: DefaultTenant = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; without it, stdout.")] = None,
    with_texts: Annotated[bool, typer.Option("--with-texts", help="Put description and comments in.")] = False,
    data: DataDir = None,
) -> None:
    """Makes a bundle by which somebody else checks the request's trail, with scripts/check_proof.py and the public key."""

    import orjson

    from civicpulse.audit.keys import Keyring
    from civicpulse.audit.prove import prove

    async def work(services: "Services") -> dict[str, Any]:
        found = await wanted_tenant(services, tenant) if tenant else await services.tenants.default()
        if found is None:
            raise OperatorError("there is no tenant yet: 'civicpulse tenant create' makes one")
        async with services.db.transaction(found) as tx:
            return await prove(tx, number, Keyring(services.settings.audit_dir).entries(), with_texts=with_texts)

    bundle = with_services(data, work)
    document = orjson.dumps(bundle, option=orjson.OPT_INDENT_2)
    if out is None:
        typer.echo(document.decode())
    else:
        out.write_bytes(document)
        say(f"{len(bundle['events'])} events written to {out}")
    if bundle["unproved"]:
        say(f"events {', '.join(map(str, bundle['unproved']))} are in no checkpoint yet: 'civicpulse audit checkpoint'")


@key_app.command("show")
def key_show(data: DataDir = None) -> None:
    """Prints the public keys, oldest first: id, since when, and the key itself in base64."""
    from civicpulse.audit.keys import Keyring

    entries = Keyring(database_settings(data).audit_dir).entries()
    if not entries:
        say("there is no key yet: 'civicpulse audit key rotate' makes one")
    for entry in entries:
        typer.echo(f"{entry['id']}  {entry['since']}  {entry['public']}")


@key_app.command("rotate")
def key_rotate(data: DataDir = None) -> None:
    """Makes a new key, which signs from now on; it and the one before vouch for each other. The first time, the first key."""
    from civicpulse.audit.keys import Keyring
    from civicpulse.base import clock

    key = Keyring(database_settings(data).audit_dir).rotate(at=clock.wall())
    typer.echo(f"{key.id}  {base64.b64encode(key.public).decode()}")
