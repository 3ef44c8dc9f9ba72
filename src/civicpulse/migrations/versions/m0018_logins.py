"""No tenant's secret in what looks across tenants.

Revision ID: 0018_logins
"""

from civicpulse.migrations.sql import run_sql

revision = "0018_logins"
down_revision = "0017_run_errors"


def upgrade() -> None:
    """Replaces the gate function that lists tenants."""
    run_sql("0018_logins.sql")
