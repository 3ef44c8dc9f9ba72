"""An anonymous report names nobody.

Revision ID: 0018_anonymous
"""

from civicpulse.migrations.sql import run_alone

revision = "0018_anonymous"
down_revision = "0017_run_errors"


def upgrade() -> None:
    """Takes the citizen's id off what was reported anonymously before."""
    run_alone("0018_anonymous.sql")
