"""The shapes of the descriptions in `data`: what each field means is said there, beside its value."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Lines = tuple[str, ...]
Share = Annotated[float, Field(ge=0, le=1)]
Weights = dict[str, float]
Span = tuple[float, float]


class Shape(BaseModel):
    """A part of a description: nothing unknown in it, and nobody changes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Post(Shape):
    """A job, and who holds it."""

    code: str
    name: str
    department: str
    skills: Lines = ()
    zones: Lines = ()
    days: Lines = ()
    hours: tuple[str, str] = ("00:00", "00:00")
    on_call: bool = False
    fence: str | None = None
    role: str = "agent"
    phone: str | None = None


class About(Shape):
    """A tenant: who it is, who works for it, and how long it has been lived."""

    slug: str
    name: str
    kind: str
    pack: str
    timezone: str
    seed: int
    reports: int
    days: float
    founded_days_before: float
    swept_every_hours: float
    scored_days_before: tuple[float, ...] = ()
    told_days: float = 0
    log_ins: Lines
    staff: tuple[Post, ...]


class Description(Shape):
    """What every sample says of itself."""

    tenant: About


class Step(Shape):
    """One step of a request's handling; `assign_again_minutes` makes it the assignment."""

    by: str
    to: str = "assigned"
    assign_again_minutes: Span | None = None
    minutes: float | Weights = 0.0
    unclear_minutes: float | None = None
    at_least: float = 0.0
    share: Share = 1.0
    category: str | None = None
    fields: dict[str, str] = {}
    then: "tuple[Step, ...]" = ()
    last: bool = False


class Handling(Shape):
    """What happens to each request, step by step."""

    spread: float
    slow: Share = 0.0
    slow_factor: float = 1.0
    steps: tuple[Step, ...]
