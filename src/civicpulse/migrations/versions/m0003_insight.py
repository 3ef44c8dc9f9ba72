"""The ledger behind the KPIs and the indexes that analytics read.

Revision ID: 0003_insight
"""

from civicpulse.migrations.sql import run_sql

revision = "0003_insight"
down_revision = "0002_procrastinate"


def upgrade() -> None:
    """Creates the ledger with its trigger, its row policies and rights, and the indexes."""
    run_sql("0003_insight.sql")
