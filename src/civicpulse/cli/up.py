"""`civicpulse up`: database, API, pages and worker started together, watched and stopped together."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import typer

from civicpulse.audit.keys import Keyring
from civicpulse.base import clock
from civicpulse.base.clients.tracing import check_tracing
from civicpulse.base.embedded import EmbeddedServerError, embedded_server, make_folder, revive
from civicpulse.base.migrate import make_ready
from civicpulse.cli.base import OperatorError, lock_of, read_settings, say
from civicpulse.cli.preparing import prepare

READY_SECONDS = 60
STOP_SECONDS = 30
MAX_DEATHS, DEATHS_WITHIN_SECONDS = 5, 60.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)

Child: TypeAlias = subprocess.Popen[bytes]


def up(*, host: str, port: int, data: Path, sample: bool, scale: float) -> int:
    """Runs database, API, pages and worker until Ctrl-C or SIGTERM. Returns the exit code."""
    check_tracing(read_settings())
    make_folder(data)
    _stop_at_once()
    try:
        with _alone(data, host, port):
            port = _free_port(host, port)
            say("database  starting")
            with embedded_server(data, tell=say) as url:
                login = make_ready(url)
                say("database  ready")
                environment = _environment(login, data)
                _make_key(environment["CIVICPULSE_AUDIT_DIR"])
                logins = prepare(
                    url, data, storage_url=environment["CIVICPULSE_STORAGE_URL"], sample=sample, scale=scale
                )
                if logins:  # a sample's codes and links reach nobody but whoever sits before this terminal
                    environment.setdefault("CIVICPULSE_MESSAGES_IN_LOG", "1")
                return _serve(host, port, data, environment, logins)
    except KeyboardInterrupt:
        say("stopped")
        return 0


def _stop_at_once() -> None:
    """Lets, until the processes run, the first signal end whatever is being done; further ones do not disturb the cleaning up."""

    def stop(*_: object) -> NoReturn:
        for sign in SIGNALS:
            signal.signal(sign, signal.SIG_IGN)
        say("stopping")
        raise KeyboardInterrupt

    for sign in SIGNALS:
        signal.signal(sign, stop)


def _serve(host: str, port: int, data: Path, environment: dict[str, str], logins: dict[str, Any]) -> int:
    """Runs API and worker until told to stop, then stops them in order."""
    stopping = threading.Event()
    for sign in SIGNALS:
        signal.signal(sign, lambda *_: stopping.set())
    commands = _commands(host, port)
    children = {name: _start(command, environment) for name, command in commands.items()}
    try:
        if not _wait_ready(host, port, children, stopping):
            return 0 if stopping.is_set() else 1
        _greet(host, port, data, logins)
        return _watch(children, commands, environment, data, stopping=stopping)
    finally:
        _stop_children(children)
        say("stopped")


@contextmanager
def _alone(data: Path, host: str, port: int) -> Iterator[None]:
    """Holds DATA/up.lock: a second `up` on the same data gets a clear message and touches nothing."""
    with lock_of(data).open("a+") as lock:
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
            raise OperatorError(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another port: 'civicpulse up --port {port + 1}' "
                f"or 'make run PORT={port + 1}'"
            ) from None
        free: int = probe.getsockname()[1]
        return free


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


def _greet(host: str, port: int, data: Path, logins: dict[str, Any]) -> None:
    address = typer.style(f"http://{host}:{port}/", bold=True)
    say(f"\nCivicPulse is ready: {address}   (API: /docs, data: {data.absolute()}, stop: Ctrl-C)")
    if not logins:
        say("No sample here. 'civicpulse tenant create' and 'civicpulse token create' make a tenant and a token.")
    for sample in logins.get("tenants", []):
        say(f"{typer.style(sample['name'], bold=True)} (X-Tenant: {sample['tenant']})")
        for login in sample["tokens"]:
            say(f"  {login['role']:<11} {login['token']}   {login['label']}")


def _watch(
    children: dict[str, Child],
    commands: dict[str, list[str]],
    environment: dict[str, str],
    data: Path,
    *,
    stopping: threading.Event,
) -> int:
    """Watches until told to stop; a process that dies, the database too, is started again, unless it keeps dying."""
    deaths: list[float] = []
    while not stopping.wait(0.3):
        _watch_database(data)
        for name, child in children.items():
            if child.poll() is None:
                continue
            now = time.monotonic()
            deaths = [*(death for death in deaths if now - death < DEATHS_WITHIN_SECONDS), now]
            if len(deaths) > MAX_DEATHS:
                say(f"the {name} process keeps ending (code {child.returncode}); stopping", color="red")
                return 1
            say(f"the {name} process ended with code {child.returncode}; starting it again", color="yellow")
            children[name] = _start(commands[name], environment)
    return 0


def _watch_database(data: Path) -> None:
    try:
        if revive(data):
            say("the database had ended; it runs again", color="yellow")
    except EmbeddedServerError as error:  # tried again at the next look
        say(f"the database does not start: {error}", color="red")


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
