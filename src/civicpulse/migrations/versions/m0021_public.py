"""What the public reads of texts, worked out when they are written.

Revision ID: 0021_public
"""

from civicpulse.migrations.sql import run_sql

revision = "0021_public"
down_revision = "0020_figures"


def upgrade() -> None:
    """Adds the columns and the public's search; rows that are there are filled by the worker."""
    run_sql("0021_public.sql")
