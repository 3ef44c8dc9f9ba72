"""Why a deadline is where it is."""

from datetime import datetime

from pydantic import Field

from civicpulse.base.answers import View
from civicpulse.requests.views.request import SlaPolicyView, SlaState


class CalendarView(View):
    """The working hours that count; `always` is 24x7."""

    name: str | None
    timezone: str
    always: bool


class StepDueView(View):
    """An escalation step that is due."""

    step: int
    action: str
    role: str
    due_at: datetime


class IntervalView(View):
    """From when to when, in counted hours."""

    since: datetime = Field(alias="from")
    until: datetime = Field(alias="to")
    hours: float


class ClockView(View):
    """The clock of a request with each interval that counted and each that did not."""

    request_id: str
    state: SlaState
    policy: SlaPolicyView | None
    calendar: CalendarView
    started_at: datetime
    finished_at: datetime | None
    elapsed_hours: float
    response_due_at: datetime | None
    at_risk_at: datetime | None
    due_at: datetime | None
    breach_at: datetime | None
    next_at: datetime | None
    met: bool | None
    escalation_count: int
    steps_fired: int
    steps_due: list[StepDueView]
    counted: list[IntervalView]
    paused: list[IntervalView]
    note: str
