"""Where to look for duplicates of a request, and what is found there as the rule takes it."""

import itertools
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from civicpulse.base.db import Row
from civicpulse.base.ids import lock_number
from civicpulse.packs.model import Pack
from civicpulse.places.cells import cells_around, lock_cells
from civicpulse.places.zones import UNZONED
from civicpulse.rules.duplicates import Candidate, Match, Report
from civicpulse.rules.lifecycle import is_ended

# What to hand to `near_candidates` and, after the locks, to `intake_open`.
NEAR = """%(categories)s::text[], %(cells)s::bigint[], %(lon)s, %(lat)s, %(radius_m)s, %(address_key)s, %(asset_id)s, %(since)s"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where and among what to look for duplicates: cells, an address, an asset; none of them means: do not look."""

    place_locks: list[int]
    categories: list[str]
    cells: list[int]
    lon: float
    lat: float
    radius_m: float
    address_key: str | None
    asset_id: str | None
    since: datetime
    closed_since: datetime
    at: datetime

    @property
    def is_anywhere(self) -> bool:
        """Whether there is a place to look at."""
        return bool(self.cells or self.address_key or self.asset_id)

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of NEAR, and `closed_since`."""
        return {
            "categories": self.categories,
            "cells": array(self.cells),
            "lon": self.lon,
            "lat": self.lat,
            "radius_m": self.radius_m,
            "address_key": self.address_key,
            "asset_id": self.asset_id,
            "since": self.since,
            "closed_since": self.closed_since,
        }

    def asked(self) -> dict[str, Any]:
        """Writes the parameters of NEAR as JSON takes them, for statements that ask for many at once."""
        plain = {
            "categories": self.categories,
            "cells": self.cells,
            "lon": self.lon,
            "lat": self.lat,
            "radius_m": self.radius_m,
        }
        named = {"address_key": self.address_key, "asset_id": self.asset_id}
        return plain | named | {"since": self.since, "closed_since": self.closed_since}


def array(numbers: list[int]) -> str:
    """Makes an array literal: for plain numbers much cheaper than the driver's general way."""
    return "{" + ",".join(map(str, numbers)) + "}"


def surroundings(tenant_id: UUID, pack: Pack, row: Row, at: datetime) -> Surroundings:
    """Says where to look for duplicates of a request's row, and the locks that make rivals queue.

    The cells around its point, or else the place that its words name, and the asset wherever that is said to be.
    """
    categories = pack.compatible(row["category"])
    lon, lat = row["lon"] or 0.0, row["lat"] or 0.0
    if not categories:
        return Surroundings([], [], [], lon, lat, 0, None, None, at, at, at)
    policy = pack.duplicate_policy(row["category"])
    cells = [] if row["cell"] is None else cells_around(lon, lat, policy.radius_m)
    # A lock for each compatible category: friends of one category need not be friends of each other, yet any two
    # reports that may be duplicates hold the lock of either's category in common.
    named = (("address", row["address_key"]), ("asset", row["asset_id"]))
    places: list[tuple[str, object]] = [("place", cell) for cell in lock_cells(cells)]
    places += [(kind, name) for kind, name in named if name]
    return Surroundings(
        place_locks=sorted(
            lock_number(tenant_id, kind, category, place)
            for category, (kind, place) in itertools.product(categories, places)
        ),
        categories=list(categories),
        cells=cells,
        lon=lon,
        lat=lat,
        radius_m=policy.radius_m,
        address_key=row["address_key"] or None,
        asset_id=row["asset_id"] or None,
        since=at - timedelta(hours=policy.window_hours),
        closed_since=at - timedelta(hours=policy.reopen_hours),
        at=at,
    )


def report_of(row: Row, at: datetime) -> Report:
    """Reads a request's row as the rule takes it, reported at `at`."""
    lon, lat = _point(row)
    return Report(
        lon, lat, at, row["category"], row["address_key"], row["asset_id"], row["description"], area=_area(row)
    )


def candidates_of(found: Iterable[Row], shared: Collection[UUID]) -> list[Candidate]:
    """Gives what `near_candidates` found, each once, as the rule takes it; a request may be found by place and by asset.

    `shared`: the ids of those that everybody who sees the report sees.
    """
    return [_candidate(row, shared) for row in {row["id"]: row for row in found}.values()]


def _candidate(found: Row, shared: Collection[UUID]) -> Candidate:
    lon, lat = _point(found)
    return Candidate(
        id=UUID(found["id"]),
        is_shared=UUID(found["id"]) in shared,
        number=found["number"],
        lon=lon,
        lat=lat,
        created_at=datetime.fromisoformat(found["created_at"]),
        category=found["category"],
        address_key=found["address_key"],
        asset_id=found["asset_id"],
        text=found["text"],
        is_open=found["is_open"],
        closed_at=datetime.fromisoformat(found["closed_at"]) if found["closed_at"] else None,
        area=_area(found),
    )


def candidate_of_row(row: Row) -> Candidate:
    """Reads a request that is about to be written, as a candidate for those that come after it."""
    lon, lat = _point(row)
    return Candidate(
        id=row["id"],
        number=row["number"],
        lon=lon,
        lat=lat,
        created_at=row["created_at"],
        category=row["category"],
        address_key=row["address_key"],
        asset_id=row["asset_id"],
        text=row["description"][:500],
        is_open=not is_ended(row["state_category"]),
        closed_at=row["closed_at"],
        area=_area(row),
    )


def _point(row: Row) -> tuple[float | None, float | None]:
    """Gives the point. Without a cell the degrees are those of a town's centre, from which nothing can be measured."""
    return (None, None) if row["cell"] is None else (row["lon"], row["lat"])


def _area(row: Row) -> str | None:
    if row["zone_id"] != UNZONED:
        return str(row["zone_id"])
    if row["cell"] is None and row["lon"] is not None:
        return f"{row['lon']:.2f} {row['lat']:.2f}"
    return None


def match_json(match: Match) -> dict[str, Any]:
    """Writes a candidate as reporters and staff see it: its number, its score in parts, and why."""
    return {"request_id": match.candidate.number, "score": asdict(match.score), "why": match.why}
