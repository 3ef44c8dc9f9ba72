"""Twins without coordinates, staff's word on pairs, and what a language model thinks of them.

Revision ID: 0011_similar
"""

from civicpulse.migrations.sql import run_sql

revision = "0011_similar"
down_revision = "0010_scores"


def upgrade() -> None:
    """Replaces the intake's function, adds the indexes it looks at, and the table of opinions."""
    run_sql("0011_similar.sql")
