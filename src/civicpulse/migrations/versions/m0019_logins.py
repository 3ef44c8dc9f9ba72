"""No tenant's secret in what looks across tenants.

Revision ID: 0019_logins
"""

from civicpulse.migrations.sql import run_sql

revision = "0019_logins"
down_revision = "0018_anonymous"


def upgrade() -> None:
    """Replaces the gate function that lists tenants."""
    run_sql("0019_logins.sql")
