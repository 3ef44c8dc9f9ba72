"""Language models: so many calls at once for a tenant, what was masked in them, and where the engines disagree.

Revision ID: 0029_models
"""

from civicpulse.migrations.sql import run_sql

revision = "0029_models"
down_revision = "0028_median"


def upgrade() -> None:
    """Adds the table of seats, and what an analysis and a call of a model say besides."""
    run_sql("0029_models.sql")
