"""Zones: brought in from GeoJSON, and found again by a point."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from civicpulse.accounts.tenants import bump_zones
from civicpulse.base.db import Row, Tx
from civicpulse.places import queries
from civicpulse.places.geojson import BadFeature, Repair, read_zone_file

UNZONED = "UNZONED"
ROWS_AT_ONCE = 20_000
MAX_NAMED = 5  # features with the same fault that are named by number


@dataclass(frozen=True, slots=True)
class ZoneReport:
    """What an import did, by zone code. `kept`: zones of the tenant that the file does not name.

    `misfiled`: requests that keep their zone although their point lies in another one now.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    kept: tuple[str, ...]
    repaired: tuple[Repair, ...]
    joined: tuple[str, ...]
    bad: tuple[BadFeature, ...]
    misfiled: int
    zones_version: int

    @property
    def is_empty(self) -> bool:
        """Tells whether the file held no zone that could be used."""
        return not (self.added or self.changed or self.unchanged)

    def lines(self) -> Iterator[str]:
        """Writes the report for people."""
        counts = f"{len(self.added)} added, {len(self.changed)} changed, {len(self.unchanged)} unchanged"
        yield f"{counts}, {len(self.bad)} bad"
        for repair in self.repaired:
            yield f"  zone {repair.zone_id}: repaired ({repair.reason}), {_grown(repair)}"
        for code in self.joined:
            yield f"  zone {code}: joined from several features"
        by_reason: dict[str, list[int]] = {}
        for feature in self.bad:
            by_reason.setdefault(feature.reason, []).append(feature.index)
        for reason, indexes in by_reason.items():
            named = ", ".join(map(str, indexes[:MAX_NAMED]))
            rest = f" and {len(indexes) - MAX_NAMED} more" if len(indexes) > MAX_NAMED else ""
            yield f"  feature{'s' if len(indexes) > 1 else ''} {named}{rest}: {reason}"
        if self.kept:
            yield f"  not in the file, kept: {', '.join(self.kept)}"
        if self.misfiled:
            yield f"  {self.misfiled} requests keep the zone they were given, though their point lies in another one now"


def _grown(repair: Repair) -> str:
    change = repair.area_after_m2 - repair.area_before_m2
    if abs(change) < 1:
        return "with the same area as before"
    return f"{abs(change):,.0f} m² {'larger' if change > 0 else 'smaller'} than before"


class ZoneIndex:
    """A tenant's polygons in memory. Points are (lon, lat) in degrees; on a border the smallest code (as text) wins."""

    def __init__(self, zones: Sequence[tuple[str, BaseGeometry]]) -> None:
        ordered = sorted(zones, key=lambda zone: zone[0])
        self.codes = tuple(code for code, _ in ordered)
        self._polygons = np.array([polygon for _, polygon in ordered], dtype=object)
        shapely.prepare(self._polygons)
        self._tree = shapely.STRtree(self._polygons)
        self.bounds = {code: tuple(float(edge) for edge in polygon.bounds) for code, polygon in ordered}
        edges = list(zip(*self.bounds.values(), strict=True))
        self._box: tuple[float, float, float, float] | None = (
            (min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3])) if edges else None
        )

    def __contains__(self, code: object) -> bool:
        return code in self.bounds

    def __len__(self) -> int:
        return len(self.codes)

    def is_within_box(self, lon: float, lat: float) -> bool:
        """Tells whether the point lies in the rectangle around all zones; a hundred times cheaper than to find its zone."""
        if self._box is None:
            return False
        west, south, east, north = self._box
        return west <= lon <= east and south <= lat <= north

    def zone_of(self, lon: float, lat: float) -> str | None:
        """Finds the code of the zone that holds the point; None outside all of them."""
        near = self._tree.query(shapely.points(lon, lat))  # by bounding box; the exact test uses prepared polygons
        for position in sorted(near.tolist()):
            if shapely.intersects_xy(self._polygons[position], lon, lat):
                return self.codes[int(position)]
        return None

    def zones_of(self, lons: Sequence[float], lats: Sequence[float]) -> list[str | None]:
        """Finds the zone of each of many points at once; None for a point outside all of them."""
        found: list[str | None] = [None] * len(lons)
        if not self.codes or not found:
            return found
        xs, ys = np.asarray(lons, dtype=float), np.asarray(lats, dtype=float)
        points, zones = self._tree.query(shapely.points(xs, ys))
        inside = shapely.intersects_xy(self._polygons[zones], xs[points], ys[points])
        # From the largest code down, so that the smallest has the last word.
        order = np.argsort(-zones[inside], kind="stable")
        for point, zone in zip(points[inside][order].tolist(), zones[inside][order].tolist(), strict=True):
            found[point] = self.codes[zone]
        return found


_indexes: dict[UUID, tuple[int, ZoneIndex]] = {}


async def zone_index(tx: Tx) -> ZoneIndex:
    """Finds the tenant's zones, built once a process for each version of them."""
    known = _indexes.get(tx.tenant_id)
    if known is not None and known[0] == tx.tenant.zones_version:
        return known[1]
    index = _index(await queries.all_zones(tx))
    _indexes[tx.tenant_id] = (tx.tenant.zones_version, index)
    return index


def _index(rows: Sequence[Row]) -> ZoneIndex:
    return ZoneIndex([(row["zone_id"], shape(row["geometry"])) for row in rows])


async def import_zones(tx: Tx, path: Path, *, code_property: str, name_property: str | None = None) -> ZoneReport:
    """Adds and changes the tenant's zones from a GeoJSON file, by code; the same file again changes nothing.

    Polygons that cross themselves are repaired and named; features that cannot be zones are listed by their index.
    Zones that the file does not name stay. Requests keep the zone they were given. Raises Invalid for an unusable file.
    """
    file = await asyncio.to_thread(read_zone_file, path, code_property=code_property, name_property=name_property)
    before = {row["zone_id"] for row in await queries.list_zones(tx, after="", limit=1_000_000, geometry=False)}
    touched = await queries.put_zones(tx, file.drafts)
    version = await (bump_zones(tx) if touched else queries.zones_version(tx))
    named = {draft.zone_id for draft in file.drafts}
    changed_or_added = {row["zone_id"] for row in touched}
    return ZoneReport(
        added=tuple(sorted(row["zone_id"] for row in touched if row["added"])),
        changed=tuple(sorted(row["zone_id"] for row in touched if not row["added"])),
        unchanged=tuple(sorted(named - changed_or_added)),
        kept=tuple(sorted(before - named)),
        repaired=file.repairs,
        joined=file.joined,
        bad=file.bad,
        misfiled=await _count_misfiled(tx) if touched else 0,
        zones_version=version,
    )


async def _count_misfiled(tx: Tx) -> int:
    index, count, after = _index(await queries.all_zones(tx)), 0, UUID(int=0)
    while rows := await queries.located_requests(tx, after=after, limit=ROWS_AT_ONCE):
        zones = index.zones_of([row["lon"] for row in rows], [row["lat"] for row in rows])
        count += sum(row["zone_id"] != (zone or UNZONED) for row, zone in zip(rows, zones, strict=True))
        after = rows[-1]["id"]
    return count
