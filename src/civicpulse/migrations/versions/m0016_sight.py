"""What the public map reads besides masters.

Revision ID: 0016_sight
"""

from civicpulse.migrations.sql import run_sql

revision = "0016_sight"
down_revision = "0015_due"


def upgrade() -> None:
    """Creates the index of open public duplicates."""
    run_sql("0016_sight.sql")
