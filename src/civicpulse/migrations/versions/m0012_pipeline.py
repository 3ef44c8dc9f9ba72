"""Runs of the CSV pipeline, and the tickets that each still works on.

Revision ID: 0012_pipeline
"""

from civicpulse.migrations.sql import run_sql

revision = "0012_pipeline"
down_revision = "0011_similar"


def upgrade() -> None:
    """Creates the tables with their row policies, rights and gate function."""
    run_sql("0012_pipeline.sql")
