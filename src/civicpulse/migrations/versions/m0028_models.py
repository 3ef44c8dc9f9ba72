"""Language models: so many calls at once for a tenant, what was masked in them, and where the engines disagree.

Revision ID: 0028_models
"""

from civicpulse.migrations.sql import run_sql

revision = "0028_models"
down_revision = "0027_operators"


def upgrade() -> None:
    """Adds the table of seats, and what an analysis and a call of a model say besides."""
    run_sql("0028_models.sql")
