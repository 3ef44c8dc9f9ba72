"""Figures of the tenant's own days, that count every dispute and judge only what was resolved.

Revision ID: 0020_figures
"""

from civicpulse.migrations.sql import run_sql

revision = "0020_figures"
down_revision = "0019_logins"


def upgrade() -> None:
    """Adds the count of disputes and what the ledger's days are; every tenant's sums are to be made anew."""
    run_sql("0020_figures.sql")
