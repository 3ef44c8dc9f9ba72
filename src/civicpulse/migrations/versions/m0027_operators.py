"""What operators see: processes that live, and the queues of all tenants.

Revision ID: 0027_operators
"""

from civicpulse.migrations.sql import run_sql

revision = "0027_operators"
down_revision = "0026_askers"


def upgrade() -> None:
    """Creates the table of processes, the indexes of what was given up and the gate of the queues."""
    run_sql("0027_operators.sql")
