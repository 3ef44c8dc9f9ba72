"""What the operator commands do: start and stop the processes, and one function for each command's work."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
import uvicorn
from rich.console import Console
from rich.progress import Progress

from civicpulse.accounts.roles import roles_of, unknown_role
from civicpulse.accounts.tenants import create_tenant
from civicpulse.accounts.tokens import create_token, revoke_token
from civicpulse.audit.keys import Keyring
from civicpulse.base import clock
from civicpulse.base.clients.tracing import check_tracing
from civicpulse.base.doors.slow import PatientProtocol
from civicpulse.base.embedded import EmbeddedServerError, embedded_server, revive
from civicpulse.base.logins import as_application, refuse_strong_login
from civicpulse.base.migrate import make_ready
from civicpulse.base.services import Services, open_services
from civicpulse.base.tenancy import Tenant
from civicpulse.exports.dump import dump_documents
from civicpulse.imports.load import import_requests
from civicpulse.imports.report import ImportReport
from civicpulse.insight.jobs import measure_tenant
from civicpulse.insight.scores.scores import compute_scores, latest_score
from civicpulse.packs.loader import read_pack
from civicpulse.places.zones import ZoneReport, import_zones
from civicpulse.requests.actions import find_agent
from civicpulse.requests.deadlines.sweep import SweepReport, sweep
from civicpulse.sample.build import build_samples
from civicpulse.settings import Settings
from civicpulse.worker import run_worker

READY_SECONDS = 60
STOP_SECONDS = 30
MAX_DEATHS, DEATHS_WITHIN_SECONDS = 5, 60.0

Child: TypeAlias = subprocess.Popen[bytes]


class OperatorError(RuntimeError):
    """Something the operator can put right; the message says how."""


# ------------------------------------------------------------------------------------------------ processes


def serve(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Runs the web app until it is told to stop."""
    _need_url(settings)
    check_tracing(settings)  # here, or the server's own start would bury the message
    asyncio.run(_try_login(settings.database_url))
    _follow_parent(settings.parent_pid)
    uvicorn.run(
        "civicpulse.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_config=None,
        access_log=False,
        loop="uvloop",
        http=PatientProtocol,
        timeout_graceful_shutdown=20,
        server_header=False,
    )


def work(settings: Settings) -> None:
    """Runs the worker until SIGINT or SIGTERM; what it holds is finished first."""
    _need_url(settings)
    _follow_parent(settings.parent_pid)

    async def main() -> None:
        stop = asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        await run_worker(settings, stop=stop)

    asyncio.run(main())


def _need_url(settings: Settings) -> None:
    if not settings.database_url:
        raise OperatorError("set CIVICPULSE_DATABASE_URL, or use 'civicpulse up', which brings its own database")


async def _try_login(url: str) -> None:
    """Raises UnsafeLogin before anything is started; a database that is not there yet is waited for later."""
    with suppress(psycopg.OperationalError):
        async with await psycopg.AsyncConnection.connect(as_application(url)) as conn:
            await refuse_strong_login(conn)


def _follow_parent(pid: int) -> None:
    """Ends this process when `civicpulse up` is gone, even by SIGKILL: an orphan would hold the port."""
    if not pid:
        return

    def watch() -> None:
        while os.getppid() == pid:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def up(*, host: str, port: int, data: Path, sample: bool, say: Console) -> int:
    """Runs database, API, pages and worker until Ctrl-C or SIGTERM. Returns the exit code."""
    check_tracing(Settings.from_environment())
    data.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: stopping.set())
    with _alone(data, host, port):
        port = _free_port(host, port)
        say.print("database  starting")
        with embedded_server(data) as url:
            login = make_ready(url)
            say.print("database  ready")
            environment = _environment(login, data)
            _make_key(environment["CIVICPULSE_AUDIT_DIR"])
            logins = _prepare(url, data, environment, sample=sample, say=say)
            if logins:  # a sample's codes and links reach nobody but whoever sits before this terminal
                environment.setdefault("CIVICPULSE_MESSAGES_IN_LOG", "1")
            commands = _commands(host, port)
            children = {name: _start(command, environment) for name, command in commands.items()}
            try:
                if not _wait_ready(host, port, children, stopping):
                    return 0 if stopping.is_set() else 1
                _greet(say, host, port, logins)
                return _watch(children, commands, environment, data, stopping=stopping, say=say)
            finally:
                _stop_children(children)
                say.print("stopped")


@contextmanager
def _alone(data: Path, host: str, port: int) -> Iterator[None]:
    """Holds DATA/up.lock: a second `up` on the same data gets a clear message and touches nothing."""
    with (data / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise OperatorError(
                f"CivicPulse already runs on {data} ({lock.read().strip()}); stop it first, or use another --data"
            ) from None
        lock.truncate(0)
        lock.write(f"pid {os.getpid()}, http://{host}:{port}\n")
        lock.flush()
        yield


def _free_port(host: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OperatorError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port") from None
        free: int = probe.getsockname()[1]
        return free


def _prepare(url: str, data: Path, environment: dict[str, str], *, sample: bool, say: Console) -> dict[str, Any]:
    """Makes the samples when there is no tenant yet; their log-ins, if there are any."""
    kept, unfinished = data / "sample-logins.json", data / "sample-unfinished"
    if unfinished.exists() and sample:
        raise OperatorError(
            f"the sample in {data} was left half made: remove {data} and start again, or use --no-sample"
        )
    settings = Settings(
        database_url=environment["CIVICPULSE_DATABASE_URL"],
        migration_url=url,
        pool_size=8,
        storage_url=environment["CIVICPULSE_STORAGE_URL"],
    )

    async def main() -> dict[str, Any]:
        async with open_services(settings) as services:
            if sample and not await services.tenants.all():
                began = time.monotonic()
                unfinished.touch()
                logins = await build_samples(services)
                kept.touch(mode=0o600)
                kept.write_text(json.dumps(logins, indent=2))
                unfinished.unlink()
                say.print(f"sample    ready in {time.monotonic() - began:.1f} s")
        return json.loads(kept.read_text()) if sample and kept.exists() else {}

    return asyncio.run(main())


def _environment(url: str, data: Path) -> dict[str, str]:
    """Says what the children are told: the application's log-in, whose they are, and where files go unless that is set."""
    files = {
        "CIVICPULSE_STORAGE_URL": (data.resolve() / "files").as_uri(),
        "CIVICPULSE_AUDIT_DIR": str(data.resolve() / "audit"),
    }
    mine = {name: value for name, value in os.environ.items() if name != "CIVICPULSE_MIGRATION_URL"}
    return files | mine | {"CIVICPULSE_DATABASE_URL": url, "CIVICPULSE_PARENT_PID": str(os.getpid())}


def _make_key(folder: str) -> None:
    """Makes the key that signs checkpoints, the first time."""
    keyring = Keyring(folder)
    if not keyring.entries():
        keyring.rotate(at=clock.wall())


def _commands(host: str, port: int) -> dict[str, list[str]]:
    base = [sys.executable, "-m", "civicpulse.cli.main"]
    return {"api": [*base, "serve", "--host", host, "--port", str(port)], "worker": [*base, "worker"]}


def _start(command: list[str], environment: dict[str, str]) -> Child:
    # A session of its own: Ctrl-C reaches this process only, which stops its children in order.
    return subprocess.Popen(command, env=environment, start_new_session=True)


def _wait_ready(host: str, port: int, children: dict[str, Child], stopping: threading.Event) -> bool:
    reach = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - a name for it, not a binding
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and not stopping.is_set():
        if any(child.poll() is not None for child in children.values()):
            return False
        try:
            with urllib.request.urlopen(f"http://{reach}:{port}/health/ready", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _greet(say: Console, host: str, port: int, logins: dict[str, Any]) -> None:
    say.print(f"\nCivicPulse is ready: [bold]http://{host}:{port}/[/bold]   (API: /docs, stop: Ctrl-C)")
    if not logins:
        say.print("No sample here. 'civicpulse tenant create' and 'civicpulse token create' make a tenant and a token.")
    for sample in logins.get("tenants", []):
        say.print(f"[bold]{sample['name']}[/bold] (X-Tenant: {sample['tenant']})")
        for login in sample["tokens"]:
            say.print(f"  {login['role']:<11} {login['token']}   {login['label']}", soft_wrap=True)


def _watch(
    children: dict[str, Child],
    commands: dict[str, list[str]],
    environment: dict[str, str],
    data: Path,
    *,
    stopping: threading.Event,
    say: Console,
) -> int:
    """Watches until told to stop; a process that dies, the database too, is started again, unless it keeps dying."""
    deaths: list[float] = []
    while not stopping.wait(0.3):
        _watch_database(data, say)
        for name, child in children.items():
            if child.poll() is None:
                continue
            now = time.monotonic()
            deaths = [*(death for death in deaths if now - death < DEATHS_WITHIN_SECONDS), now]
            if len(deaths) > MAX_DEATHS:
                say.print(f"the {name} process keeps ending (code {child.returncode}); stopping", style="red")
                return 1
            say.print(f"the {name} process ended with code {child.returncode}; starting it again", style="yellow")
            children[name] = _start(commands[name], environment)
    return 0


def _watch_database(data: Path, say: Console) -> None:
    try:
        if revive(data):
            say.print("the database had ended; it runs again", style="yellow")
    except EmbeddedServerError as error:  # tried again at the next look
        say.print(f"the database does not start: {error}", style="red")


def _stop_children(children: dict[str, Child]) -> None:
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    for child in children.values():
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


# ------------------------------------------------------------------------------------------------- commands


async def create_tenant_from(settings: Settings, *, slug: str, pack: str, name: str, kind: str) -> Tenant:
    """Makes a tenant from a shipped pack or a file, as the database's owner."""
    document = read_pack(pack).model_dump(mode="json")
    url = settings.migration_url or settings.database_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        return await create_tenant(owner, slug=slug, name=name, kind=kind, pack_document=document)


async def make_token(
    services: Services, tenant: Tenant, *, role: str, actor: str | None, label: str, days: int | None
) -> str:
    """Makes a new token; an agent may be named by code."""
    async with services.db.transaction(tenant) as tx:
        roles = await roles_of(tx)
        if (wanted := roles.get(role)) is None:
            raise unknown_role(role, roles.of_tokens)
        actor_id: UUID | None = None
        if actor is not None:
            actor_id = UUID(actor) if wanted.kind == "citizen" else (await find_agent(tx, actor))["id"]
        lifetime = timedelta(days=days) if days else None
        return await create_token(tx, role=role, actor_id=actor_id, label=label, lifetime=lifetime)


async def end_token(services: Services, tenant: Tenant, token_id: UUID) -> bool:
    """Revokes a token; False when there was nothing to revoke."""
    async with services.db.transaction(tenant) as tx:
        return await revoke_token(tx, token_id)


async def sweep_now(services: Services) -> SweepReport:
    """Sweeps once over every tenant."""
    return await sweep(services.db, services.tenants)


async def score_now(services: Services, tenant: Tenant) -> tuple[int, int, float | None]:
    """Measures resolutions, writes scores, and gives the tenant's own score."""
    measured = await measure_tenant(services, tenant)
    async with services.db.transaction(tenant) as tx:
        written = await compute_scores(tx)
        return measured, written, (await latest_score(tx, public_only=False))["score"]


async def load_zones(services: Services, tenant: Tenant, file: Path, *, code: str, name: str | None) -> ZoneReport:
    """Imports zones in one transaction."""
    async with services.db.transaction(tenant) as tx:
        return await import_zones(tx, file, code_property=code, name_property=name)


async def load_requests(
    services: Services, tenant: Tenant, file: Path, *, mapping: str, dry_run: bool, bar: Progress
) -> ImportReport:
    """Imports requests, showing rows as they are read."""
    task = bar.add_task(file.name, total=None)
    return await import_requests(
        services, tenant, file, mapping, dry_run=dry_run, progress=lambda rows: bar.update(task, completed=rows)
    )


async def dump(services: Services, tenant: Tenant, out: Path, bar: Progress) -> dict[str, int]:
    """Writes the five collections; documents by collection."""
    task = bar.add_task("documents", total=None)
    async with services.db.transaction(tenant) as tx:
        return await dump_documents(tx, out, progress=lambda count: bar.update(task, completed=count))


def tell_zones(report: ZoneReport, echo: Callable[[str], None]) -> None:
    """Prints what a zone import did."""
    for line in report.lines():
        echo(line)


def tell_requests(report: ImportReport, echo: Callable[[str], None]) -> None:
    """Prints what a request import did."""
    for line in report.lines():
        echo(line)
