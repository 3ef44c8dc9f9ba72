"""The directory of what is due across tenants.

Revision ID: 0015_due
"""

from civicpulse.migrations.sql import run_sql

revision = "0015_due"
down_revision = "0014_number"


def upgrade() -> None:
    """Creates the table of marks with its row policies, rights and gate function."""
    run_sql("0015_due.sql")
