"""A person's words can be taken out wherever they lie.

Revision ID: 0022_erasure
"""

from civicpulse.migrations.sql import run_sql

revision = "0022_erasure"
down_revision = "0021_public"


def upgrade() -> None:
    """Adds what erasure needs: the time at which evidence went, and the rights to take words out."""
    run_sql("0022_erasure.sql")
