"""Periodic jobs: what runs when. A room's jobs.py offers the functions, worker.py lists them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from civicpulse.base.services import Services

EVERY_MINUTE = "* * * * *"
EVERY_QUARTER_HOUR = "*/15 * * * *"
HOURLY = "7 * * * *"


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """A job and its cron line (UTC). The job must be safe to run twice and beside itself."""

    cron: str
    job: Callable[[Services], Awaitable[Any]]
