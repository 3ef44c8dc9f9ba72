"""Tenants, callers, requests, the event trail and its guards.

Revision ID: 0001_core
"""

from civicpulse.migrations.sql import run_sql

revision = "0001_core"
down_revision = None


def upgrade() -> None:
    """Creates the roles, the tables, the policies and the functions that the first release stands on."""
    run_sql("0001_core.sql")
