"""When a place counts as a point: something can be near it, and a zone holds it. Pure.

A point that a device measured or a house that was found by its address is a point. The middle of a town or of a region
is none: every report of the town would lie there, in one zone and near each other.
"""

from typing import Final

from civicpulse.rules.addresses import address_key, place_key

ROUGH: Final = ("town", "region")
"""Qualities of a place of which only the town or the region is known."""


def is_point(quality: str | None, *, has_degrees: bool, finds_duplicates: bool) -> bool:
    """Tells whether a place has a cell and its zone by polygon.

    `quality` is house, town, region or none as the geocoder found it, None for degrees that were measured. The middle of a
    town counts only where nobody looks for duplicates of the category: then it is at least a place on the map.
    """
    if not has_degrees:
        return False
    return quality in (None, "house") or (quality == "town" and not finds_duplicates)


def key_of_place(quality: str | None, address: str | None) -> str | None:
    """Makes the key under which an equal place is found again; None where the words name none.

    Where only a town or a region was found its name is no place, so that only a house or a crossing has a key.
    """
    return address_key(address) if quality in ROUGH else place_key(address)
