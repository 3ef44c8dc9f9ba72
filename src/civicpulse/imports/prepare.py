"""A case as the row of a request: zone, cell, priority, SLA snapshot and clock. No I/O: runs beside the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from civicpulse.base.ids import id_at
from civicpulse.imports.report import Tally
from civicpulse.imports.rows import Case
from civicpulse.packs.model import Pack
from civicpulse.places.cells import cell_of
from civicpulse.places.zones import UNZONED, ZoneIndex
from civicpulse.requests.clock import columns_of, policy_to_json
from civicpulse.rules.calendar import ALWAYS, Calendar, elapsed_hours
from civicpulse.rules.duplicates import address_key
from civicpulse.rules.priority import score_of_priority
from civicpulse.rules.sla import Policy, Reading, Step, choose_policy, read_clock

IMPORTED = "imported"
# Between a city's own deadline and "breached" where the pack has no policy to take the distance from.
GRACE_HOURS = 24.0
# A week has about four times as many hours as a working week.
CALENDAR_PER_WORKING_HOUR = 6

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for every row of an import."""

    pack: Pack
    pack_version: int
    zones: ZoneIndex
    source: str
    run_id: UUID
    now: datetime
    initial: str
    closed: str


class Preparer:
    """Turns cases into rows; counts into `tally` what deserves a look."""

    def __init__(self, settings: Settings, tally: Tally) -> None:
        self._s = settings
        self._tally = tally
        self._rejects_outside = settings.pack.document.outside_zones == "reject" and len(settings.zones) > 0
        self._policy_of = lru_cache(maxsize=10_000)(self._choose)
        self._address_key = lru_cache(maxsize=10_000)(address_key)

    def _choose(self, category: str, zone: str, priority: str) -> tuple[Policy | None, dict[str, Any] | None]:
        policy = choose_policy(self._s.pack.sla_rules, category=category, zone=zone, priority=priority)
        return policy, policy_to_json(policy) if policy else None

    def rows(self, cases: Sequence[Case]) -> Iterator[tuple[Case, Row]]:
        """The rows of a batch. Cases that the pack refuses are counted as bad and left out."""
        placed = [case for case in cases if case.is_place]
        zones = self._s.zones.zones_of([case.lon or 0.0 for case in placed], [case.lat or 0.0 for case in placed])
        found = {id(case): zone for case, zone in zip(placed, zones, strict=True)}
        for case in cases:
            polygon_zone = found.get(id(case))
            if case.is_place and polygon_zone is None and self._rejects_outside:
                self._tally.refuse(case.line, "its point is outside every zone", case.external_id)
                continue
            yield case, self._row(case, self._zone(case, polygon_zone))

    def _zone(self, case: Case, polygon_zone: str | None) -> str:
        """By polygon; where the point says nothing, what the city wrote, if it is one of our zones."""
        named = case.city_zone
        if case.is_place:
            if named is not None and len(self._s.zones):
                self._tally.zones_compared += 1
                self._tally.zones_agreed += named == polygon_zone
            if polygon_zone is None:
                self._tally.notes["outside_zones"] += 1
            return polygon_zone or UNZONED
        return named if named is not None and named in self._s.zones else UNZONED

    def _row(self, case: Case, zone_id: str) -> Row:
        s = self._s
        self._note(case)
        priority = case.priority or s.pack.categories[case.category].default_priority
        ended_at = case.closed_at if case.is_closed else None
        sla, clock = self._clock(case, zone_id, priority, ended_at)
        description = case.description or s.pack.categories[case.category].name
        return clock | {
            "id": id_at(case.created_at),
            "pack_version": s.pack_version,
            "source": s.source,
            "external_id": case.external_id,
            "is_public": s.pack.categories[case.category].public,
            "category": case.category,
            "sub_category": case.sub_category,
            "description": description,
            "tags": case.tags,
            "status": s.closed if case.is_closed else s.initial,
            "state_category": "closed" if case.is_closed else "open",
            "priority": priority,
            "priority_score": score_of_priority(priority),
            "lon": case.lon,
            "lat": case.lat,
            "cell": cell_of_case(case),
            "address_hint": case.address,
            "address_key": self._address_key(case.address),
            "asset_id": case.asset_id,
            "zone_id": zone_id,
            "sla": sla,
            "created_at": case.created_at,
            "closed_at": ended_at,
            "updated_at": max(case.created_at, ended_at or case.created_at),
            "meta": self._meta(case, zone_id, priority, sla, clock),
        }

    def _clock(
        self, case: Case, zone_id: str, priority: str, ended_at: datetime | None
    ) -> tuple[dict[str, Any] | None, Row]:
        """The SLA snapshot, and the clock's columns. The city's own deadline, where it has one, rules."""
        policy, snapshot = self._policy_of(case.category, zone_id, priority)
        if case.target_at is not None:
            policy = imported_policy(policy, created_at=case.created_at, target_at=case.target_at)
            snapshot = policy_to_json(policy)
        if case.is_closed and ended_at is None:
            return snapshot, CLOSED_SOMETIME
        calendar = self._s.pack.calendar_of(policy)
        return snapshot, open_or_ended(policy, calendar, started_at=case.created_at, ended_at=ended_at, now=self._s.now)

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

    def _meta(self, case: Case, zone_id: str, priority: str, sla: dict[str, Any] | None, clock: Row) -> dict[str, Any]:
        """What the `created` event keeps; no text of a reporter."""
        meta = {
            "imported": True,
            "source": self._s.source,
            "external_id": case.external_id,
            "run": self._s.run_id,
            "category": case.category,
            "sub_category": case.sub_category,
            "priority": priority,
            "zone_id": zone_id,
            "sla_policy": sla["policy_id"] if sla else None,
        }
        if case.channel is not None:
            meta["channel"] = case.channel
        if clock["sla_steps_fired"]:
            self._tally.notes["steps_passed"] += clock["sla_steps_fired"]
            meta["escalation_steps_passed"] = clock["sla_steps_fired"]
        return meta


CLOSED_SOMETIME: Row = {
    "sla_state": "completed",
    "sla_due_at": None,
    "sla_met": None,
    "next_sla_at": None,
    "sla_steps_fired": 0,
}


def cell_of_case(case: Case) -> int | None:
    """The cell of a real place; a placeholder has none, so it never takes part in the search for duplicates."""
    if not case.is_place or case.lon is None or case.lat is None:
        return None
    return cell_of(case.lon, case.lat)


def open_or_ended(
    policy: Policy | None, calendar: Calendar, *, started_at: datetime, ended_at: datetime | None, now: datetime
) -> Row:
    """The clock's columns. Escalation steps that fell due before the import count as fired: nobody is to be stormed."""
    reading = _read(policy, calendar, started_at=started_at, ended_at=ended_at, now=now)
    return columns_of(replace(reading, due_steps=()), fired_steps=len(reading.due_steps), now=now)


def _read(
    policy: Policy | None, calendar: Calendar, *, started_at: datetime, ended_at: datetime | None, now: datetime
) -> Reading:
    """The clock; a long history is read at an early moment first.

    Counting working time walks every day, and requests stay open for years. Long after the deadline the clock says the
    same for ever: when that is already so at the early moment, it is the answer.
    """
    until = ended_at or now
    early = _long_after(policy, started_at)
    if early < until and not calendar.always:
        finished_at = None if ended_at is None else early
        reading = read_clock(policy, calendar, started_at=started_at, now=early, finished_at=finished_at)
        if reading.next_at is None and reading.met is not True:
            return reading
    return read_clock(policy, calendar, started_at=started_at, now=now, finished_at=ended_at)


def _long_after(policy: Policy | None, started_at: datetime) -> datetime:
    if policy is None:
        return started_at
    hours = max(policy.breach_threshold_hours, *(step.after_hours for step in policy.steps), 0.0)
    return max(started_at, policy.target_at or started_at) + timedelta(days=14, hours=CALENDAR_PER_WORKING_HOUR * hours)


def imported_policy(policy: Policy | None, *, created_at: datetime, target_at: datetime) -> Policy:
    """The promise a city made: its deadline as it stands; the pack's ladder keeps its distance to the deadline."""
    hours = elapsed_hours(ALWAYS, created_at, target_at)
    if policy is None:
        return Policy(IMPORTED, hours, hours + GRACE_HOURS, target_at=target_at)
    shift = hours - policy.target_hours
    return replace(
        policy,
        policy_id=IMPORTED,
        target_hours=hours,
        breach_threshold_hours=hours + max(0.0, policy.breach_threshold_hours - policy.target_hours),
        response_hours=None if policy.response_hours is None else min(policy.response_hours, hours),
        steps=tuple(Step(max(0.0, step.after_hours + shift), step.action, step.role) for step in policy.steps),
        calendar=None,  # a date that the city named is counted around the clock
        target_at=target_at,
    )
