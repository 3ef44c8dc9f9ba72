"""What a channel hands to the intake: one request to be opened, whatever way it came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from civicpulse.intake.placing import Spot


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports. `citizen_id` None: nobody in particular; `on_map`: whether they let the public see it."""

    created_by: str
    citizen_id: UUID | None = None
    contact_channel: str = "none"
    on_map: bool = True


@dataclass(frozen=True, slots=True)
class End:
    """That the work had ended elsewhere before the request came here; `at` is None where nobody knows when.

    What ended as no case, a duplicate, cancelled or invalid, `was_resolved` by nobody.
    """

    at: datetime | None
    was_resolved: bool = True


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request to be opened. `category` is one of the pack's; `priority` or `score` are set where somebody decided.

    `is_public` is what the reporter said, None where nothing was said. `history`: it was worked elsewhere before: nobody
    is told of it, and what fell due before it came counts as done. `target_at`: the deadline that was promised
    elsewhere. `about` goes into the trail beside what intake tells itself.
    """

    id: UUID
    source: str
    category: str
    description: str
    spot: Spot
    reporter: Reporter
    created_at: datetime
    sub_category: str | None = None
    tags: Sequence[str] = ()
    asset_id: str | None = None
    external_id: str | None = None
    is_public: bool | None = None
    priority: str | None = None
    score: int | None = None
    needs_person: bool = False
    segment: str | None = None
    evidence: Sequence[Mapping[str, Any]] = ()
    history: bool = False
    target_at: datetime | None = None
    end: End | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
