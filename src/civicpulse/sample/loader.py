"""Reads the descriptions of the sample tenants: `data/NAME/*.yaml` and zones.geojson, one part of the description a file.

What each field means is said there. Tables of names, texts and numbers are taken as they are; what has a shape is checked.
"""

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from civicpulse.base.shipped import located

Lines = tuple[str, ...]
ZONES_FILE = "zones.geojson"  # JSON is YAML too
Share = Annotated[float, Field(ge=0, le=1)]
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C, where PyYAML was built with it


class SampleError(ValueError):
    """A sample that cannot be built; the message has one line per problem, "file: field: what is wrong"."""


class Part(dict[str, Any]):
    """A table of a description; its fields are attributes too, and one that is missing is told by file and field."""

    where: str

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name.startswith("__"):
            raise AttributeError(name)
        raise SampleError(f"{self.where}{name}: Field required")


class Shape(BaseModel):
    """A part that is checked: nothing unknown in it, and nobody changes it."""

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


class Step(Shape):
    """One step of a request's handling; `assign_again_minutes` makes it the assignment."""

    by: str
    to: str = "assigned"
    assign_again_minutes: tuple[float, float] | None = None
    minutes: float | dict[str, float] = 0.0
    unclear_minutes: float | None = None
    at_least: float = 0.0
    share: Share = 1.0
    category: str | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    then: "tuple[Step, ...]" = ()
    last: bool = False


class Handling(Shape):
    """What happens to each request, step by step."""

    spread: float
    slow: Share = 0.0
    slow_factor: float = 1.0
    steps: tuple[Step, ...]


class Kind(Shape):
    """How a category behaves."""

    share: float
    hours: str = "day"
    week: str = "city"
    months: dict[int, float] = Field(default_factory=dict)
    storm: float = 1.0
    noticed: Share = 0.0
    returns: Share = 0.0
    has_asset: bool = False
    tags: Lines = ()
    hazard: Share = 0.0
    mistaken_for: str | None = None
    round_the_clock: bool = False
    checklist: dict[str, bool] | None = None


CHECKED: dict[str, TypeAdapter[Any]] = {
    "tenant": TypeAdapter(About),
    "handling": TypeAdapter(Handling),
    "kinds": TypeAdapter(dict[str, Kind]),
}


def read_sample(name: str, folder: Traversable | None = None) -> Part:
    """Reads the description of the sample `name`, from `folder` instead of the shipped one where that is given.

    Raises SampleError, which names the file and the field of every problem, here or when a missing field is asked for.
    """
    found = Part()
    found.where = f"{name}: "
    for file in (folder or sample_folder(name)).iterdir():
        if file.name.endswith((".yaml", ".geojson")):
            part = file.name.partition(".")[0]
            found[part] = _read(part, f"{name}/{file.name}", file)
    return found


def sample_folder(name: str) -> Traversable:
    """Finds the shipped folder of the sample `name`."""
    return resources.files(__package__) / "data" / name


def _read(part: str, source: str, file: Traversable) -> Any:
    try:
        told = yaml.load(file.read_text(encoding="utf-8"), Loader)  # noqa: S506 - a safe loader, in C or in Python
        return CHECKED[part].validate_python(told) if part in CHECKED else _table(told, f"{source}: ")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SampleError(located(source, [(line, f"not YAML: {error.problem}")])) from None
    except ValidationError as error:
        faults = [(None, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") for fault in error.errors()]
        raise SampleError(located(source, faults)) from None


def _table(told: Any, where: str) -> Any:
    if isinstance(told, dict):
        part = Part({key: _table(value, f"{where}{key}.") for key, value in told.items()})
        part.where = where
        return part
    return tuple(_table(value, where) for value in told) if isinstance(told, list) else told
