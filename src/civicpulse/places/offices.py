"""Offices: upserted by name, placed on the map (spec 5: business units, franchises)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from civicpulse.base.db import Tx


@dataclass(frozen=True, slots=True)
class OfficeDraft:
    """An office as a file or a form has it; the name is its natural key."""

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class OfficesPut:
    """The ids of all named offices by name, and what was done."""

    ids: Mapping[str, UUID]
    added: tuple[str, ...]
    changed: tuple[str, ...]


async def put_offices(tx: Tx, drafts: Sequence[OfficeDraft]) -> OfficesPut:
    """Adds offices and changes addresses, by name; an office whose address changed loses its coordinates."""
    raise NotImplementedError


async def place_offices(tx: Tx) -> int:
    """Geocodes the offices that have no coordinates; how many are still without."""
    raise NotImplementedError
