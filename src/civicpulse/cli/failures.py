"""Failures that an operator can put right, each told in one line. Loaded when a command fails, not before."""

import psycopg

from civicpulse.audit.keys import NoKey
from civicpulse.base.embedded import EmbeddedServerError
from civicpulse.base.errors import Problem
from civicpulse.base.logins import UnsafeLogin
from civicpulse.cli.base import OperatorError
from civicpulse.cli.reaching import why
from civicpulse.evaluation.analysis import QualityError
from civicpulse.packs.loader import PackError
from civicpulse.settings import SettingsError
from civicpulse.triage.trainer import TrainingFailed

EXPECTED = (
    Problem, PackError, EmbeddedServerError, SettingsError, QualityError, TrainingFailed, OperatorError, NoKey, UnsafeLogin,
)  # fmt: skip


def told(error: Exception) -> str | None:
    """Says what went wrong and what to do; None for what is no operator's business: a fault of ours, with its traceback."""
    if isinstance(error, EXPECTED):
        return str(error)
    if isinstance(error, psycopg.OperationalError):
        return f"the database cannot be reached: {why(error)}"
    if isinstance(
        error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedFunction | psycopg.errors.UndefinedObject
    ):
        return "the database has not the tables of this version: run 'civicpulse migrate' first"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"the database's log-in may not do that: {why(error)}; set CIVICPULSE_MIGRATION_URL to its owner's"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None
