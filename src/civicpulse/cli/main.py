"""Operator commands. Each works on `--data DIR` (the embedded server, running or not) or on CIVICPULSE_DATABASE_URL."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from civicpulse import __version__
from civicpulse.cli.audit import audit_app
from civicpulse.cli.base import (
    DataDir,
    DefaultTenant,
    OneTenant,
    OperatorError,
    Process,
    database,
    group,
    read_settings,
    say,
    wanted_tenant,
    wanted_tenants,
    with_services,
)
from civicpulse.cli.calls import llm_calls
from civicpulse.cli.imports import import_app
from civicpulse.cli.people import people_app
from civicpulse.cli.quality import model_app, quality_app
from civicpulse.cli.reports import reports_app
from civicpulse.cli.tenants import tenant_app, token_app
from civicpulse.settings import default_data_dir

if TYPE_CHECKING:
    from civicpulse.base.services import Services


class Commands(TyperGroup):
    """All commands. What an operator can put right is one line on stderr and exit 2, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that is asked for."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("typer", "click"):
                raise  # Typer's own: a usage error, an exit code
            from civicpulse.cli.failures import told

            if (message := told(error)) is None:
                raise
            say(f"civicpulse: {message}", color="red")
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="CivicPulse: service requests. Exit codes: 0 done, 1 done and the answer is no, 2 not done.",
)
sla_app = group("The SLA clock.")
scores_app = group("Performance scores.")
for name, commands in (
    ("tenant", tenant_app),
    ("token", token_app),
    ("import", import_app),
    ("sla", sla_app),
    ("audit", audit_app),
    ("scores", scores_app),
    ("reports", reports_app),
    ("people", people_app),
    ("model", model_app),
    ("quality", quality_app),
):
    app.add_typer(commands, name=name)
app.command("llm-calls", epilog="Example: civicpulse llm-calls --tenant lakeside-university --outcome timeout")(
    llm_calls
)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"civicpulse {__version__}")
        raise typer.Exit


@app.callback()
def _whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Works as an operator."""


@app.command(epilog="Example: civicpulse up --no-sample --data /var/lib/civicpulse --port 8001")
def up(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Data directory, made if need be.")
    ] = default_data_dir(),
    sample: Annotated[
        bool, typer.Option("--sample/--no-sample", help="Make the sample tenants when there is none yet.")
    ] = True,
    sample_size: Annotated[
        float, typer.Option(min=0.02, max=1, help="Share of the sample's load that is made: less is ready sooner.")
    ] = 1.0,
) -> None:
    """Starts database, API, pages and worker; Ctrl-C stops them all."""
    from civicpulse.cli import up as processes

    raise typer.Exit(processes.up(host=host, port=port, data=data, sample=sample, scale=sample_size))


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes; one is right unless the machine has cores to spare.")
    ] = 1,
) -> None:
    """Serves API and pages against CIVICPULSE_DATABASE_URL."""
    from civicpulse.cli import processes

    processes.serve(read_settings(), host=host, port=port, workers=workers)


@app.command()
def worker() -> None:
    """Runs reactions and periodic jobs against CIVICPULSE_DATABASE_URL."""
    from civicpulse.cli import processes

    processes.work(read_settings())


@app.command()
def migrate(data: DataDir = None) -> None:
    """Brings the database to the newest revision and lets the application log in as CIVICPULSE_DATABASE_URL says."""
    from civicpulse.base.logins import APP_ROLE, make_login
    from civicpulse.base.migrate import migrate as migrate_database

    with database(data, make=True) as settings:
        changed = migrate_database(settings.migration_url or settings.database_url)
        has_login = make_login(settings.migration_url, settings.database_url)
    say("migrated" if changed else "nothing to migrate")
    if not has_login:
        say(f"CIVICPULSE_DATABASE_URL does not name {APP_ROLE}, so its log-in was left alone")


@sla_app.command("sweep")
def sla_sweep(data: DataDir = None) -> None:
    """Applies every clock that is due now, once."""
    from civicpulse.requests.deadlines.sweep import SweepReport, sweep

    async def work(services: "Services") -> SweepReport:
        return await sweep(services.db, services.tenants)

    report = with_services(data, work)
    typer.echo(f"{report.requests} requests, {report.escalations} escalations, {report.changes} state changes")


@scores_app.command("compute")
def scores_compute(tenant: OneTenant = None, data: DataDir = None) -> None:
    """Takes outstanding SLA metrics and computes this hour's scores, for every tenant; prints each one's own score."""
    from civicpulse.cli.work import score_now

    async def work(services: "Services") -> list[tuple[Any, ...]]:
        return [(found.slug, *await score_now(services, found)) for found in await wanted_tenants(services, tenant)]

    for slug, measured, written, score in with_services(data, work):
        shown = "no score yet" if score is None else f"{score:.2f}"
        typer.echo(f"{slug}: {shown} ({measured} resolutions measured, {written} scores written)")


@app.command("dump-documents")
def dump_documents(
    out: Annotated[Path, typer.Option(help="Folder for the five files.")] = Path("documents"),
    tenant: DefaultTenant = None,
    data: DataDir = None,
) -> None:
    """Writes service_requests, citizens, service_agents, performance_logs and geo_feeds as MongoDB Extended JSON."""
    from civicpulse.cli.work import dump

    out.mkdir(parents=True, exist_ok=True)

    async def work(services: "Services") -> dict[str, int]:
        found = await wanted_tenant(services, tenant) if tenant else await services.tenants.default()
        if found is None:
            raise OperatorError("there is no tenant yet: 'civicpulse tenant create' makes one")
        return await dump(services, found, out)

    for collection, count in with_services(data, work).items():
        typer.echo(f"{count:>9} {out / (collection + '.json')}")


def main() -> None:
    """Runs the command that is asked for."""
    Process.is_own = True
    app(prog_name="civicpulse")


if __name__ == "__main__":
    main()
