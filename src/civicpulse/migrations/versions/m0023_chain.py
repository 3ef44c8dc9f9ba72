"""One chain for each tenant over all its trails, and what events vouch for.

Revision ID: 0023_chain
"""

from civicpulse.migrations.sql import run_sql

revision = "0023_chain"
down_revision = "0022_erasure"


def upgrade() -> None:
    """Creates the chain's tables, lets every event wait for it and keeps the times of a trail in order."""
    run_sql("0023_chain.sql")
