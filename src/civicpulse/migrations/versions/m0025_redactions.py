"""Staff takes files out of what the public sees.

Revision ID: 0025_redactions
"""

from civicpulse.migrations.sql import run_sql

revision = "0025_redactions"
down_revision = "0024_photos"


def upgrade() -> None:
    """Adds when a file was hidden."""
    run_sql("0025_redactions.sql")
