"""Wire shape of a raw report (spec 3, section 1)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Discriminator, Tag

from civicpulse.base.wire import DayOrInstant, ShortText
from civicpulse.intake.schemas import LocationIn, Told


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "point"


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Point = Annotated[LocationIn, Tag("point")]
PlaceText = Annotated[ShortText, Tag("text")]
# A GeoJSON point, a text such as "Library, 2nd floor", or nothing.
Where = Annotated[Annotated[Point | PlaceText, Discriminator(_kind)] | None, BeforeValidator(_blank_is_none)]


class ReportIn(Told):
    """What somebody reports in their own words. Under which category it goes is found out afterwards."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "description": "Water is dripping from the ceiling onto the shelves",
                    "location": "Library, 2nd floor",
                },
                {
                    "description": "Deep hole in the right lane, cars swerve around it",
                    "location": {"type": "Point", "coordinates": [-71.06, 42.36], "address_hint": "15 Main St"},
                },
            ]
        },
    )

    location: Where = None
    submitted_at: DayOrInstant | None = None
