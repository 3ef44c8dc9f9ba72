"""Wire shapes of what comes in: what all of it has in common, and a new request (R-INT-04)."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from civicpulse.base.wire import LongText, ShortText, Wire, Word
from civicpulse.requests.schemas import EvidenceIn, PriorityName


class CitizenRef(Wire):
    """Who reports: a known citizen, or nobody in particular. `anonymous` left out: as the citizen's preferences say."""

    citizen_id: UUID | None = None
    anonymous: bool | None = None
    contact_channel: Literal["email", "sms", "none"] = "none"


class LocationIn(Wire):
    """A GeoJSON point (longitude first) with what the reporter says of the place."""

    type: Literal["Point"] = "Point"
    coordinates: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=3)]
    address_hint: ShortText | None = None
    zone_id: Word | None = None

    @field_validator("coordinates")
    @classmethod
    def _on_earth(cls, value: list[float]) -> list[float]:
        lon, lat = value[0], value[1]
        if -180 <= lon <= 180 and -90 <= lat <= 90:
            # A tenth of a millimetre from zero is zero: the square of much less is no number to PostgreSQL.
            return [0.0 if abs(degrees) < 1e-9 else degrees for degrees in value]
        swapped = -180 <= lat <= 180 and -90 <= lon <= 90
        hint = "; these look swapped" if swapped else ""
        raise ValueError(f"must be [longitude -180..180, latitude -90..90]{hint}")


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "point"


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Point = Annotated[LocationIn, Tag("point")]
PlaceText = Annotated[ShortText, Tag("text")]
# A GeoJSON point, a text such as "Library, 2nd floor", or nothing.
Where = Annotated[Annotated[Point | PlaceText, Discriminator(_kind)] | None, BeforeValidator(_blank_is_none)]


class Told(Wire):
    """What anybody tells who reports something, by whichever way."""

    citizen_ref: CitizenRef = CitizenRef()
    description: LongText
    tags: Annotated[list[Word], Field(default_factory=list, max_length=50)]
    asset_id: Word | None = None
    evidence: Annotated[list[EvidenceIn], Field(default_factory=list, max_length=20)]
    is_public: bool | None = None
    external_id: Word | None = None

    @model_validator(mode="after")
    def _one_reporter(self) -> Self:
        if self.citizen_ref.anonymous and self.citizen_ref.citizen_id is not None:
            raise ValueError("citizen_ref: an anonymous report has no citizen_id")
        return self

    def fingerprint(self) -> dict[str, Any]:
        """Hashes what makes two bodies the same report, for the idempotency key."""
        return self.model_dump(mode="json")


class RequestIn(Told):
    """A report that becomes a request."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "citizen_ref": {"citizen_id": None, "anonymous": True, "contact_channel": "none"},
                    "category": "pothole",
                    "description": "Large pothole near downtown",
                    "location": {"type": "Point", "coordinates": [-74.0, 40.71], "address_hint": "Main St"},
                }
            ]
        },
    )

    category: Word
    sub_category: ShortText | None = None
    priority: PriorityName | None = None
    location: LocationIn
