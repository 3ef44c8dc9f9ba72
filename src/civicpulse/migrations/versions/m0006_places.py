"""Offices, agents' posts, whose turn it is in a distribution, and the online geocoder's answers.

Revision ID: 0006_places
"""

from civicpulse.migrations.sql import run_sql

revision = "0006_places"
down_revision = "0005_analysis"


def upgrade() -> None:
    """Creates the tables with their row policies and rights, and adds the columns."""
    run_sql("0006_places.sql")
