"""The processes of a running installation: the API and the worker, each against the database that it is given."""

import asyncio
import os
import signal
import threading
import time

import psycopg
import uvicorn

from civicpulse.base.clients.tracing import check_tracing
from civicpulse.base.doors.slow import PatientProtocol
from civicpulse.base.logins import as_application, refuse_strong_login
from civicpulse.cli.base import OperatorError
from civicpulse.cli.reaching import reach
from civicpulse.settings import Settings
from civicpulse.worker import run_worker

DATABASE_SECONDS = 20


def serve(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Runs the web app until it is told to stop."""
    _begin(settings)
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
    _begin(settings)
    _follow_parent(settings.parent_pid)

    async def main() -> None:
        stop = asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        await run_worker(settings, stop=stop)

    asyncio.run(main())


def _begin(settings: Settings) -> None:
    """Tries what the process stands on before it starts, or the server's own start would bury the message."""
    if not settings.database_url:
        raise OperatorError("set CIVICPULSE_DATABASE_URL, or use 'civicpulse up', which brings its own database")
    check_tracing(settings)
    reach(settings.database_url, seconds=DATABASE_SECONDS)
    asyncio.run(_try_login(settings.database_url))


async def _try_login(url: str) -> None:
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
