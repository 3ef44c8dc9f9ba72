"""Operator commands. Each works on `--data DIR` (the embedded server, running or not) or on CIVICPULSE_DATABASE_URL."""

import sys
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import psycopg
import typer

from civicpulse.audit.keys import NoKey
from civicpulse.base.embedded import EmbeddedServerError
from civicpulse.base.errors import Problem
from civicpulse.base.log import configure_logging
from civicpulse.base.logins import APP_ROLE, UnsafeLogin, make_login
from civicpulse.base.migrate import migrate as migrate_database
from civicpulse.cli import processes
from civicpulse.cli.audit import audit_app
from civicpulse.cli.base import DataDir, at_work, database, progress_bar, run, say, wanted_tenant
from civicpulse.cli.people import people_app
from civicpulse.cli.quality import model_app, quality_app
from civicpulse.cli.reports import reports_app
from civicpulse.evaluation.analysis import QualityError
from civicpulse.packs.loader import PackError
from civicpulse.settings import Settings, SettingsError, default_data_dir
from civicpulse.triage.trainer import TrainingFailed

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="CivicPulse: service requests."
)
tenant_app = typer.Typer(no_args_is_help=True, help="Tenants.")
token_app = typer.Typer(no_args_is_help=True, help="API tokens.")
sla_app = typer.Typer(no_args_is_help=True, help="The SLA clock.")
import_app = typer.Typer(no_args_is_help=True, help="Data from elsewhere.")
scores_app = typer.Typer(no_args_is_help=True, help="Performance scores.")
for name, group in (
    ("tenant", tenant_app),
    ("token", token_app),
    ("sla", sla_app),
    ("audit", audit_app),
    ("import", import_app),
    ("scores", scores_app),
    ("model", model_app),
    ("quality", quality_app),
    ("reports", reports_app),
    ("people", people_app),
):
    app.add_typer(group, name=name)


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8000,
    data: Annotated[Path, typer.Option("--data", help="Data directory.")] = default_data_dir(),
    sample: Annotated[
        bool, typer.Option("--sample/--no-sample", help="Make the sample tenants when there is none yet.")
    ] = True,
) -> None:
    """Starts database, API, pages and worker; Ctrl-C stops them all."""
    raise SystemExit(processes.up(host=host, port=port, data=data, sample=sample, say=say))


@app.command()
def serve(
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes; one is right unless the machine has cores to spare.")
    ] = 1,
) -> None:
    """Serves API and pages against CIVICPULSE_DATABASE_URL."""
    processes.serve(Settings.from_environment(), host=host, port=port, workers=workers)


@app.command()
def worker() -> None:
    """Runs reactions and periodic jobs against CIVICPULSE_DATABASE_URL."""
    processes.work(Settings.from_environment())


@app.command()
def migrate(data: DataDir = None) -> None:
    """Brings the database to the newest revision and lets the application log in as CIVICPULSE_DATABASE_URL says."""
    with database(data) as settings:
        changed = migrate_database(settings.migration_url or settings.database_url)
        has_login = make_login(settings.migration_url, settings.database_url)
    say.print("migrated" if changed else "nothing to migrate")
    if not has_login:
        say.print(f"CIVICPULSE_DATABASE_URL does not name {APP_ROLE}, so its log-in was left alone")


@tenant_app.command("create")
def tenant_create(
    slug: str,
    pack: Annotated[str, typer.Option(help="Name of a shipped pack, or a path to a YAML file.")] = "civic",
    name: Annotated[str | None, typer.Option(help="The tenant's name for people.")] = None,
    kind: Annotated[str, typer.Option(help="city, building, campus, hotel, facility or company.")] = "city",
    data: DataDir = None,
) -> None:
    """Makes a tenant from a pack."""
    with database(data) as settings:
        tenant = run(lambda: processes.create_tenant_from(settings, slug=slug, pack=pack, name=name or slug, kind=kind))
    say.print(f"tenant {tenant.slug} created with pack {pack}")


@token_app.command("create")
def token_create(
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")],
    role: Annotated[str, typer.Option(help="One of the roles of the tenant's pack.")],
    actor: Annotated[
        str | None, typer.Option(help="Id of the citizen, or id or code of the agent, that the token stands for.")
    ] = None,
    label: Annotated[str, typer.Option()] = "",
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; without it, never.")] = None,
    data: DataDir = None,
) -> None:
    """Makes a token and prints it, alone, on stdout. It cannot be shown again."""

    async def work() -> str:
        async with at_work(data) as services:
            found = await wanted_tenant(services, tenant)
            return await processes.make_token(services, found, role=role, actor=actor, label=label, days=days)

    typer.echo(run(work))


@token_app.command("revoke")
def token_revoke(token_id: UUID, tenant: Annotated[str, typer.Option()], data: DataDir = None) -> None:
    """Ends a token by its id."""

    async def work() -> bool:
        async with at_work(data) as services:
            return await processes.end_token(services, await wanted_tenant(services, tenant), token_id)

    if not run(work):
        raise typer.BadParameter(f"there is no live token {token_id}")
    say.print("revoked")


@sla_app.command("sweep")
def sla_sweep(data: DataDir = None) -> None:
    """Applies every clock that is due now, once."""

    async def work() -> Any:
        async with at_work(data) as services:
            return await processes.sweep_now(services)

    report = run(work)
    typer.echo(f"{report.requests} requests, {report.escalations} escalations, {report.changes} state changes")


@scores_app.callback()
def _scores() -> None:
    """Works on performance scores."""


@scores_app.command("compute")
def scores_compute(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant.")] = None, data: DataDir = None
) -> None:
    """Takes outstanding SLA metrics and computes this hour's scores, for every tenant; prints each one's own score."""

    async def work() -> list[tuple[Any, ...]]:
        async with at_work(data) as services:
            tenants = [await wanted_tenant(services, tenant)] if tenant else await services.tenants.all()
            return [(found.slug, *await processes.score_now(services, found)) for found in tenants]

    for slug, measured, written, score in run(work):
        shown = "no score yet" if score is None else f"{score:.2f}"
        typer.echo(f"{slug}: {shown} ({measured} resolutions measured, {written} scores written)")


@import_app.command("zones")
def import_zones(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="GeoJSON, also .gz.")],
    tenant: Annotated[str, typer.Option()],
    code: Annotated[str, typer.Option(help="Property that holds the zone's code.")],
    name: Annotated[str | None, typer.Option(help="Property that holds its name.")] = None,
    data: DataDir = None,
) -> None:
    """Imports zone polygons; self-intersecting ones are repaired and named."""

    async def work() -> Any:
        async with at_work(data) as services:
            return await processes.load_zones(
                services, await wanted_tenant(services, tenant), file, code=code, name=name
            )

    processes.tell_zones(run(work), typer.echo)


@import_app.command("requests")
def import_requests(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, also .gz.")],
    tenant: Annotated[str, typer.Option()],
    mapping: Annotated[str, typer.Option(help="Name of a shipped mapping (boston, chicago, nyc) or a path.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")] = False,
    data: DataDir = None,
) -> None:
    """Imports a city's 311 file with its true times; again adds nothing; bad rows are listed with line and reason."""

    async def work() -> Any:
        async with at_work(data) as services:
            found = await wanted_tenant(services, tenant)
            with progress_bar() as bar:
                return await processes.load_requests(services, found, file, mapping=mapping, dry_run=dry_run, bar=bar)

    processes.tell_requests(run(work), typer.echo)


@app.command("dump-documents")
def dump_documents(
    out: Annotated[Path, typer.Option(help="Folder for the five files.")] = Path("documents"),
    tenant: Annotated[str | None, typer.Option(help="Slug; without it the default tenant.")] = None,
    data: DataDir = None,
) -> None:
    """Writes service_requests, citizens, service_agents, performance_logs and geo_feeds as MongoDB Extended JSON."""

    out.mkdir(parents=True, exist_ok=True)

    async def work() -> dict[str, int]:
        async with at_work(data) as services:
            found = await wanted_tenant(services, tenant) if tenant else await services.tenants.default()
            if found is None:
                raise typer.BadParameter("there is no tenant yet")
            with progress_bar() as bar:
                return await processes.dump(services, found, out, bar)

    for collection, count in run(work).items():
        typer.echo(f"{count:>9} {out / (collection + '.json')}")


def main() -> None:
    """Runs the command: expected failures are one line on stderr and exit 2, not a traceback."""
    configure_logging(Settings.from_environment().log_level if "--help" not in sys.argv else "INFO")
    try:
        app()
    except (
        Problem,
        PackError,
        EmbeddedServerError,
        SettingsError,
        QualityError,
        TrainingFailed,
        processes.OperatorError,
        NoKey,
        UnsafeLogin,
    ) as error:
        say.print(f"civicpulse: {error}", style="red")
        raise SystemExit(2) from None
    except psycopg.OperationalError as error:
        say.print(f"civicpulse: the database cannot be reached: {str(error).splitlines()[0]}", style="red")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
