"""Wire shape of a raw report (R-INT-08)."""

from pydantic import ConfigDict

from civicpulse.base.wire import DayOrInstantUtc
from civicpulse.intake.schemas import Told, Where


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
    submitted_at: DayOrInstantUtc | None = None
