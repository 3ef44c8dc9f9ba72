"""A case of another system's file as what intake takes; what deserves a look is counted. No I/O: runs beside the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from civicpulse.base.events import platform
from civicpulse.base.ids import id_at
from civicpulse.imports.report import Tally
from civicpulse.imports.rows import Case
from civicpulse.intake.incoming import Incoming, Reporter
from civicpulse.intake.placing import Spot
from civicpulse.packs.model import Pack
from civicpulse.places.zones import UNZONED, ZoneIndex

IMPORTER = platform("importer")
REPORTER = Reporter("importer")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is alike for every row of an import."""

    pack: Pack
    zones: ZoneIndex
    source: str
    run_id: UUID


class CasePreparer:
    """Turns cases into what intake takes; counts into `tally` what deserves a look."""

    def __init__(self, settings: Settings, tally: Tally) -> None:
        self._s = settings
        self._tally = tally
        self._rejects_outside = settings.pack.document.outside_zones == "reject" and len(settings.zones) > 0

    def rows(self, cases: Sequence[Case]) -> Iterator[tuple[Case, Incoming]]:
        """Prepares the requests of a batch. Cases that the pack refuses are counted as bad and left out."""
        placed = [case for case in cases if case.is_place]
        zones = self._s.zones.zones_of([case.lon or 0.0 for case in placed], [case.lat or 0.0 for case in placed])
        found = {id(case): zone for case, zone in zip(placed, zones, strict=True)}
        for case in cases:
            polygon_zone = found.get(id(case))
            if case.is_place and polygon_zone is None and self._rejects_outside:
                self._tally.refuse(case.line, "its point is outside every zone", case.external_id)
                continue
            self._note(case)
            yield case, self._incoming(case, self._zone(case, polygon_zone))

    def _zone(self, case: Case, polygon_zone: str | None) -> str:
        """Finds the zone by polygon; where the point says nothing, by what the city wrote, if it is one of our zones."""
        named = case.city_zone
        if case.is_place:
            if named is not None and len(self._s.zones):
                self._tally.zones_compared += 1
                self._tally.zones_agreed += named == polygon_zone
            if polygon_zone is None:
                self._tally.notes["outside_zones"] += 1
            return polygon_zone or UNZONED
        return named if named is not None and named in self._s.zones else UNZONED

    def _incoming(self, case: Case, zone_id: str) -> Incoming:
        about = {"imported": True, "external_id": case.external_id, "run": str(self._s.run_id)}
        return Incoming(
            id=id_at(case.created_at),
            source=self._s.source,
            category=case.category,
            description=case.description or "",
            # A placeholder is no place: nothing is near it.
            spot=Spot(case.lon, case.lat, case.address, zone_id, None if case.is_place else "none"),
            reporter=REPORTER,
            created_at=case.created_at,
            sub_category=case.sub_category,
            tags=case.tags,
            asset_id=case.asset_id,
            external_id=case.external_id,
            priority=case.priority,
            history=True,
            target_at=case.target_at,
            end=case.end,
            about=about | ({"channel": case.channel} if case.channel is not None else {}),
        )

    def _note(self, case: Case) -> None:
        notes = self._tally.notes
        if not case.is_place:
            notes["no_coordinates" if case.lon is None else "placeholder_point"] += 1
        if not case.known_category:
            notes["default_category"] += 1
            self._tally.unmapped[case.sub_category or ""] += 1
        if case.doubt is not None:
            notes["closed_before_created"] += 1
            self._tally.doubt(case.line, case.doubt, case.external_id)
        elif case.is_closed and case.closed_at is None and case.outcome is None:
            notes["closed_without_time"] += 1
        if not case.is_closed and case.closed_at is not None:
            notes["open_with_closing_time"] += 1
        if case.target_at is not None and case.target_at < case.created_at:
            notes["target_before_created"] += 1
