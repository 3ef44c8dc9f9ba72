"""What a contact centre's file says of a ticket beyond its request.

Revision ID: 0009_tickets
"""

from civicpulse.migrations.sql import run_sql

revision = "0009_tickets"
down_revision = "0008_reports"


def upgrade() -> None:
    """Creates the table with its row policy and rights."""
    run_sql("0009_tickets.sql")
