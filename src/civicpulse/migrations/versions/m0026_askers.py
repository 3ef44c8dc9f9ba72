"""One-time codes know who asked for them.

Revision ID: 0026_askers
"""

from civicpulse.migrations.sql import run_sql

revision = "0026_askers"
down_revision = "0025_redactions"


def upgrade() -> None:
    """Adds the asker to challenges."""
    run_sql("0026_askers.sql")
