"""The inbox of reports: raw texts until a job has made requests of them.

Revision ID: 0008_reports
"""

from civicpulse.migrations.sql import run_sql

revision = "0008_reports"
down_revision = "0007_needs_person"


def upgrade() -> None:
    """Creates the table, its indexes, its wall and its gate function."""
    run_sql("0008_reports.sql")
