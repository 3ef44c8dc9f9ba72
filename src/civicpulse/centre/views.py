"""The shapes in which runs of the CSV pipeline and the dashboard's figures leave (R-CSV-01)."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from civicpulse.base.answers import View, optional
from civicpulse.requests.views.ticket import TicketView

RunState = Literal["waiting", "running", "done", "failed"]


class RunLinksView(View):
    """Where to look next; `retry` of a run that failed."""

    self_: str = Field(alias="self")
    events: str
    retry: str = optional()


class FaultView(View):
    """What could not be used, where, and whether the rest went on; `request_id` where the reader sees that request."""

    file: str | None
    line: int | None
    column: str = optional()
    request_id: str = optional()
    message: str
    severity: Literal["error", "warning"]


class BriefResultView(View):
    """The counts of a run."""

    run_id: UUID
    state: RunState
    tickets_loaded: int
    tickets_added: int
    tickets_changed: int
    tickets_unchanged: int
    business_units_loaded: int
    managers_loaded: int
    attachments_stored: int
    tickets_placed: int
    tickets_analyzed: int
    tickets_assigned: int
    tickets_unassigned: int
    error_count: int
    warning_count: int
    errors_truncated: bool


class RunResultView(BriefResultView):
    """The counts of a run and its errors."""

    errors: list[FaultView]


class PipelineResultView(RunResultView):
    """What a run did, with its tickets in the order of the file."""

    tickets: list[TicketView]
    tickets_truncated: bool
    note: str = optional()


class AcceptedRunView(View):
    """A run that a worker does."""

    run_id: UUID
    state: RunState
    links: RunLinksView


class StepProgressView(View):
    """How much of one step is done."""

    step: str
    state: RunState
    done: int
    total: int | None
    seconds: float


class RunFileView(View):
    """A file that was sent; of a table also how it was read."""

    field: str
    name: str
    bytes: int
    sha256: str
    encoding: str = optional()
    delimiter: str = optional()


class RunOptionsView(View):
    """What was asked for."""

    all: bool = optional()


class ListedRunView(View):
    """Where a run stands, without its errors."""

    run_id: UUID
    kind: Literal["upload", "process"]
    state: RunState
    step: str
    progress: list[StepProgressView]
    error: str | None
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None
    files: list[RunFileView]
    options: RunOptionsView
    result: BriefResultView
    links: RunLinksView


class RunView(ListedRunView):
    """Where a run stands."""

    result: RunResultView


class LabelsView(View):
    """Names for the keys of the figures."""

    category: dict[str, str]
    language: dict[str, str]


class DashboardView(View):
    """Tickets in all and by each dimension; `avg_priority` is 1..10."""

    total_tickets: int
    assigned_tickets: int
    unassigned_tickets: int
    analyzed_tickets: int
    needs_person: int
    avg_priority: float | None
    by_category: dict[str, int]
    by_sentiment: dict[str, int]
    by_language: dict[str, int]
    by_office: dict[str, int]
    by_segment: dict[str, int]
    by_town: dict[str, int]
    labels: LabelsView
