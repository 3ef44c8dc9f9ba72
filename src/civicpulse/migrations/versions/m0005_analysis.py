"""Analyses of requests, the tenants' text models, and the log of calls to a language model.

Revision ID: 0005_analysis
"""

from civicpulse.migrations.sql import run_sql

revision = "0005_analysis"
down_revision = "0003_insight"


def upgrade() -> None:
    """Creates the three tables with their row policies and rights."""
    run_sql("0005_analysis.sql")
