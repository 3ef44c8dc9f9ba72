"""Errors of pipeline runs say which request they are about, so that only those who see it read them.

Revision ID: 0017_run_errors
"""

from civicpulse.migrations.sql import run_sql

revision = "0017_run_errors"
down_revision = "0016_sight"


def upgrade() -> None:
    """Adds the number to the one kind of error that earlier releases wrote with it in its words only."""
    run_sql("0017_run_errors.sql")
