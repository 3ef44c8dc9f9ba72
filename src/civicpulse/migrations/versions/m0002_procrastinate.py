"""The tables of a job queue that earlier releases used.

Revision ID: 0002_procrastinate
"""

from civicpulse.migrations.sql import run_sql

revision = "0002_procrastinate"
down_revision = "0001_core"


def upgrade() -> None:
    """Creates Procrastinate's tables, types and functions and lets the application role use them."""
    run_sql("0002_procrastinate.sql")
