"""Logs on stderr: lines for people on a terminal, JSON elsewhere; each with the request's and the tenant's id where there is one."""

import logging
import sys
from typing import Any, TextIO

import structlog

FOR_MACHINES: tuple[Any, ...] = (
    structlog.processors.format_exc_info,
    structlog.processors.JSONRenderer(ensure_ascii=False),
)
FOR_PEOPLE: tuple[Any, ...] = (
    structlog.dev.ConsoleRenderer(pad_event_to=24, exception_formatter=structlog.dev.plain_traceback),
)


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Sends our own and every library's log lines from `level` up to `stream`, or stderr."""
    stream = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    is_watched = stream.isatty()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(FOR_PEOPLE if is_watched else FOR_MACHINES),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("uvicorn", "alembic", "psycopg.pool"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level)))


def get_logger(name: str) -> Any:
    """Makes a structlog logger called `name`."""
    return structlog.stdlib.get_logger(name)


def bind(**values: Any) -> None:
    """Adds `values` to every further log line of this request or job."""
    structlog.contextvars.bind_contextvars(**values)


def unbind_all() -> None:
    """Forgets what was bound; at the start of each request and job."""
    structlog.contextvars.clear_contextvars()
