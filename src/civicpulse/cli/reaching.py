"""Whether the database of a URL answers: asked before anything is built on it, and told in one line when it does not."""

import time

import psycopg
from psycopg.conninfo import conninfo_to_dict

from civicpulse.cli.base import OperatorError

BETWEEN_TRIES_SECONDS = 0.5


def shown(url: str) -> str:
    """Writes a database as it may be shown: host, port and name, never the password."""
    about = conninfo_to_dict(url)
    host, port = about.get("host") or "localhost", about.get("port") or 5432
    return f"{host}:{port}/{about.get('dbname') or about.get('user') or ''}"


def reach(url: str, *, seconds: float) -> None:
    """Tries to log in for so long. Raises OperatorError, which says what was tried, for how long, and what came of it."""
    try:
        conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise OperatorError(f"CIVICPULSE_DATABASE_URL cannot be read as a URL: {why(error)}") from None
    began = time.monotonic()
    while True:
        try:
            psycopg.connect(url, connect_timeout=max(2, round(seconds))).close()
        except psycopg.OperationalError as error:
            tried = time.monotonic() - began
            if tried < seconds:
                time.sleep(BETWEEN_TRIES_SECONDS)
                continue
            raise OperatorError(
                f"the database {shown(url)} cannot be used, tried for {tried:.0f} s: {why(error)}. "
                "Start it, or correct CIVICPULSE_DATABASE_URL"
            ) from None
        return


def why(error: psycopg.Error) -> str:
    """Gives what the driver or the server says last, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith(("Is the server", "Multiple connection"))]
    return (reasons or ["no reason given"])[-1].removeprefix("- ").rstrip(".")
