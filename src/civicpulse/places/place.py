"""An address by its parts, and a place on the map."""

from dataclasses import dataclass
from typing import Literal

Quality = Literal["house", "town", "region", "none"]


@dataclass(frozen=True, slots=True)
class AddressParts:
    """An address by its parts, each as written; `raw` is one line where that is all there is."""

    country: str | None = None
    region: str | None = None
    town: str | None = None
    street: str | None = None
    house: str | None = None
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address lies, in degrees; both None with quality "none".

    `country_code` is ISO 3166 alpha-2, also when only the country is known. `matched` names what was found, `source`
    who found it: "gazetteer", "nominatim" or "none".
    """

    lon: float | None
    lat: float | None
    quality: Quality
    country_code: str | None
    matched: str | None
    source: str


NOWHERE = Place(None, None, "none", None, None, "none")
