"""SLA metrics of resolved requests, and performance scores by zone and hour.

Revision ID: 0010_scores
"""

from civicpulse.migrations.sql import run_sql

revision = "0010_scores"
down_revision = "0009_tickets"


def upgrade() -> None:
    """Creates the tables with their row policies and rights, the trigger that notes what is to be measured, and the gates."""
    run_sql("0010_scores.sql")
