"""Where an embedded server is reached, and what killed servers leave behind there."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FORGOTTEN_SECONDS = 3600  # an empty folder may be one that is being filled


def socket_dir(data: Path) -> Path:
    """Gives a short path for the socket (the system allows about 100 characters), the same for the same data directory."""
    name = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"civicpulse-{os.getuid()}-{name}"


def sweep_sockets() -> None:
    """Removes the folders that killed servers of ours left in the temporary folder."""
    for folder in Path(tempfile.gettempdir()).glob(f"civicpulse-{os.getuid()}-*"):
        for lock in folder.glob(".s.PGSQL.*.lock"):
            with suppress(OSError, ValueError, IndexError):
                pid, cluster = lock.read_text().splitlines()[:2]
                if not is_alive(int(pid)):
                    _remove_sockets(folder, Path(cluster).parent)
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - FORGOTTEN_SECONDS:
                folder.rmdir()  # which fails while anything is in it


def _remove_sockets(folder: Path, data: Path) -> None:
    """Removes a dead server's folder, unless somebody starts it again at this moment."""
    if not data.exists():
        shutil.rmtree(folder, ignore_errors=True)
        return
    with locked(data / "start.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(path: Path, mode: int) -> Iterator[int]:
    """Holds a lock on a file, made if need be; gives its descriptor. Raises BlockingIOError where `mode` says not to wait."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, mode)
        yield handle
    finally:
        os.close(handle)


def is_alive(pid: int) -> bool:
    """Tells whether there is such a process, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True
