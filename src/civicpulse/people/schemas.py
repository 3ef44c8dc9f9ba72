"""Wire shapes of citizens and agents (R-PRIV-01, R-ASG-04), normalised and checked before anything is stored."""

import re
import unicodedata
from typing import Annotated, Any, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from shapely import Polygon, is_valid_reason

from civicpulse.base.wire import is_blank
from civicpulse.rules.shifts import Shift

MAX_FENCE_POINTS = 5000

_EMAIL = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x1f]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{1,62}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def normal_email(text: str) -> str:
    """Makes an address as it is stored and compared: trimmed, in lower case. Raises ValueError when it is none."""
    address = unicodedata.normalize("NFC", text.strip()).lower()
    if len(address) > 254 or not _EMAIL.fullmatch(address):
        raise ValueError("is not an e-mail address such as name@example.org")
    return address


def normal_phone(text: str) -> str:
    """Makes a number in E.164, such as +12025550123. Raises ValueError without a country code or when it is none."""
    number = re.sub(r"[\s().\-\u2010-\u2013]", "", _with_plain_digits(text))
    if number.startswith("00"):
        number = f"+{number[2:]}"
    if not _E164.fullmatch(number):
        raise ValueError("is not an international phone number such as +1 202 555 0123")
    return number


def _with_plain_digits(value: Any) -> Any:
    """Writes digits of any script as 0-9: people type codes and numbers on their own keyboard."""
    if not isinstance(value, str):
        return value
    return "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in value)


def _known_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # ZoneInfo raises each of them, by the kind of nonsense
        raise ValueError(f"unknown time zone {name!r}: use an IANA name such as Asia/Almaty") from error
    return name


def _without_repeats(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _visible(value: str) -> str:
    if is_blank(value):
        raise ValueError("must not be blank")
    return value


Email = Annotated[str, AfterValidator(normal_email)]
Phone = Annotated[str, Field(max_length=40), AfterValidator(normal_phone)]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"), AfterValidator(_visible)]
OptionalLine = Annotated[Line | None, BeforeValidator(_none_if_blank)]
Word = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$"), AfterValidator(_visible)]
Words = Annotated[list[Word], Field(max_length=200), AfterValidator(_without_repeats)]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]
Channel = Literal["email", "sms", "none"]
Timezone = Annotated[str, Field(max_length=80), AfterValidator(_known_timezone)]


class Shape(BaseModel):
    """Base of a part: text is trimmed, an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Document(Shape):
    """Base of a whole document: fields that the server itself fills in may be sent and are ignored."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)


class Contacts(Shape):
    """How to reach a citizen."""

    email: Annotated[Email | None, BeforeValidator(_none_if_blank)] = None
    phone: Annotated[Phone | None, BeforeValidator(_none_if_blank)] = None


class Privacy(Shape):
    """What a citizen wants to be seen of."""

    default_anonymous: bool = False
    share_publicly_on_map: bool = True


class NotificationWishes(Shape):
    """What a citizen wants to hear of."""

    on_status_change: bool = True
    on_resolution: bool = True


class Preferences(Shape):
    """A citizen's choices. `preferred_contact` left out: e-mail if there is one, else SMS, else none."""

    preferred_contact: Channel | None = None
    language: Language = "en"
    privacy: Privacy = Privacy()
    notifications: NotificationWishes = NotificationWishes()


class Address(Shape):
    """Roughly where a citizen lives."""

    neighborhood: OptionalLine = None
    city: OptionalLine = None
    zone_id: OptionalLine = None


def check_reachable(preferred: str | None, *, email: str | None, phone: str | None) -> None:
    """Raises ValueError when the preferred way leads nowhere."""
    if (preferred == "email" and not email) or (preferred == "sms" and not phone):
        raise ValueError(f"preferred_contact is {preferred!r}, but there is no such contact")


class CitizenIn(Document):
    """Body of POST /citizens."""

    full_name: OptionalLine = None
    contacts: Contacts = Contacts()
    preferences: Preferences = Preferences()
    address: Address = Address()

    @model_validator(mode="after")
    def _has_preferred_contact(self) -> Self:
        check_reachable(self.preferences.preferred_contact, email=self.contacts.email, phone=self.contacts.phone)
        return self

    @property
    def preferred(self) -> str:
        """The preferred channel, chosen if the citizen did not."""
        chosen = self.preferences.preferred_contact
        return chosen or ("email" if self.contacts.email else "sms" if self.contacts.phone else "none")

    @property
    def by_channel(self) -> dict[str, str]:
        """Contacts by channel, the preferred one first."""
        ways = {"email": self.contacts.email, "sms": self.contacts.phone}
        given = {channel: contact for channel, contact in ways.items() if contact}
        return dict(sorted(given.items(), key=lambda way: way[0] != self.preferred))

    def preferences_document(self) -> dict[str, Any]:
        """Writes the preferences as they are stored."""
        return self.preferences.model_dump(mode="json") | {"preferred_contact": self.preferred}


class CitizenChange(Shape):
    """Body of PATCH /citizens/{id}: only the fields that were sent change, inside the parts as well."""

    full_name: OptionalLine = None
    preferences: Preferences = Preferences()
    address: Address = Address()


class CodeIn(Shape):
    """Body of POST /citizens/{id}/verify."""

    code: Annotated[str, BeforeValidator(_with_plain_digits), Field(pattern=r"^[0-9]{6}([0-9]{4})?$")]


class GeoFence(Shape):
    """A GeoJSON polygon in degrees: closed rings that do not cross themselves."""

    type: Literal["Polygon"]
    coordinates: list[list[tuple[float, float]]] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_a_valid_polygon(self) -> Self:
        points = [point for ring in self.coordinates for point in ring]
        if len(points) > MAX_FENCE_POINTS:
            raise ValueError(f"a geofence has at most {MAX_FENCE_POINTS} points")
        if not all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in points):
            raise ValueError("coordinates are [longitude, latitude] in degrees: -180..180, -90..90")
        if any(len(ring) < 4 or ring[0] != ring[-1] for ring in self.coordinates):
            raise ValueError("each ring needs at least four points and must end where it begins")
        polygon = Polygon(self.coordinates[0], self.coordinates[1:])
        if not polygon.is_valid or polygon.area == 0:
            raise ValueError(f"the polygon is not valid: {is_valid_reason(polygon)}")
        return self


class Coverage(Shape):
    """Where an agent works: zones, a geofence, or both."""

    zone_ids: Words = []
    geo_fence: GeoFence | None = None


class ShiftIn(Shape):
    """One weekly shift on the agent's wall clock."""

    day: str
    start: str
    end: str

    @model_validator(mode="after")
    def _is_a_shift(self) -> Self:
        Shift(self.day, self.start, self.end)
        return self


Shifts = Annotated[list[ShiftIn], Field(max_length=100)]


class ScheduleIn(Shape):
    """When an agent works."""

    timezone: Timezone = "UTC"
    shifts: Shifts = []
    on_call: bool = False


class AgentContacts(Shape):
    """How to reach an agent."""

    phone: Annotated[Phone | None, BeforeValidator(_none_if_blank)] = None


class AgentIn(Document):
    """Body of POST /agents. Without `roles`, the one that the tenant's pack gives agents."""

    agent_code: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]
    name: Line
    department: Annotated[str, Field(max_length=200)] = ""
    skills: Words = []
    coverage: Coverage = Coverage()
    schedule: ScheduleIn = ScheduleIn()
    contacts: AgentContacts = AgentContacts()
    roles: Annotated[Words, Field(min_length=1)] = []
    active: bool = True
    office_id: UUID | None = None
    position: Annotated[str | None, Field(max_length=200)] = None
    base_load: Annotated[int, Field(ge=0, le=100_000)] = 0


class AgentChange(Shape):
    """Body of PATCH /agents/{id}: only the fields that were sent change, inside the parts as well. `geo_fence` null
    takes the fence away."""

    name: Line = ""
    department: Annotated[str, Field(max_length=200)] = ""
    skills: Words = []
    coverage: Coverage = Coverage()
    schedule: ScheduleIn = ScheduleIn()
    contacts: AgentContacts = AgentContacts()
    roles: Annotated[Words, Field(min_length=1)] = []
    active: bool = True
    office_id: UUID | None = None
    position: Annotated[str | None, Field(max_length=200)] = None
    base_load: Annotated[int, Field(ge=0, le=100_000)] = 0
