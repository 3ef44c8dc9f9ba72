"""Photos are kept without what cameras write beside them.

Revision ID: 0024_photos
"""

from civicpulse.migrations.sql import run_sql

revision = "0024_photos"
down_revision = "0023_chain"


def upgrade() -> None:
    """Adds whether a photo is cleaned."""
    run_sql("0024_photos.sql")
