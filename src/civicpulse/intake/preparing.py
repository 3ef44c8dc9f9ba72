"""What comes in as the row of a request: priority, SLA policy and clock, place. No I/O: many are prepared beside the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from civicpulse.base.db import Row
from civicpulse.intake.ending import end_elsewhere
from civicpulse.intake.incoming import Incoming
from civicpulse.packs.model import Pack
from civicpulse.requests import clock
from civicpulse.requests.store import DEFAULTS, Event
from civicpulse.rules.history import imported_policy
from civicpulse.rules.priority import choose_priority, priority_of_score, score_of_priority
from civicpulse.rules.sla import Policy

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """One that is about to be opened: what came, its row, all but its number, and its first events."""

    came: Incoming
    row: Row
    told: list[Event]

    @property
    def is_judged(self) -> bool:
        """Whether it may be a duplicate: what has ended elsewhere is none."""
        return self.came.end is None


class Preparer:
    """Prepares requests by one version of a pack. `now` is the instant of the write.

    What is alike for many is worked out once: a file brings thousands of the same day, policy and calendar.
    """

    def __init__(self, pack: Pack, pack_version: int, now: datetime) -> None:
        self.pack, self.version, self.now = pack, pack_version, now
        self._snapshot = lru_cache(maxsize=REMEMBERED)(self._policy_and_snapshot)
        self._fresh_clock = lru_cache(maxsize=REMEMBERED)(self._read_fresh)

    def prepare(self, came: Incoming) -> Prepared:
        """Makes the row and its first events."""
        columns = self.judged(came)
        category = self.pack.categories[came.category]
        row = DEFAULTS | columns | self.clock(came, columns) | {
            "id": came.id,
            "pack_version": self.version,
            "source": came.source,
            "external_id": came.external_id,
            "citizen_id": came.reporter.citizen_id,
            "anonymous": came.reporter.citizen_id is None,
            "created_by": came.reporter.created_by,
            "contact_channel": came.reporter.contact_channel,
            "is_public": all((category.public, came.is_public is not False, came.reporter.on_map)),
            "sub_category": came.sub_category,
            "description": came.description or category.name if came.history else came.description,
            "tags": list(came.tags),
            "asset_id": came.asset_id,
            "segment": came.segment,
            "needs_person": came.needs_person,
            "created_at": came.created_at,
            "updated_at": self.now,
        }  # fmt: skip
        initial = self.pack.workflow.state(self.pack.workflow.initial)
        row |= {"status": initial.name, "state_category": initial.category}
        told = [Event("request.opened", self.facts(row, came))]
        if came.history:
            row["updated_at"] = max(came.created_at, (came.end and came.end.at) or came.created_at)
        if came.end is not None:
            ended, more = end_elsewhere(row, self.pack, came.end, about={"source": came.source})
            row, told = row | ended, told + more
        return Prepared(came, row, told)

    def judged(self, came: Incoming, *, decided: Mapping[str, Any] | None = None) -> Row:
        """Gives the columns that follow from what the request is about: category, priority, place.

        `decided` is a row of which somebody has set category and priority: these stand.
        """
        category = decided["category"] if decided else came.category
        priority, score = (decided["priority"], decided["priority_score"]) if decided else self._priority(came)
        finds_duplicates = bool(self.pack.compatible(category))
        return {
            "category": category,
            "priority": priority,
            "priority_score": score,
            **came.spot.columns(finds_duplicates=finds_duplicates),
        }

    def snapshot_of(self, columns: Mapping[str, Any]) -> Row | None:
        """Takes the SLA policy that the pack has for a request with these columns, as it is kept with it."""
        return self._snapshot(columns["category"], columns["zone_id"], columns["priority"])[1]

    def clock(self, came: Incoming, columns: Mapping[str, Any]) -> Row:
        """Makes the SLA snapshot and the clock's columns; the deadline that was promised elsewhere, where there is one, rules."""
        dimensions = columns["category"], columns["zone_id"], columns["priority"]
        policy, snapshot = self._snapshot(*dimensions)
        if came.target_at is not None:
            policy = imported_policy(policy, created_at=came.created_at, target_at=came.target_at)
            snapshot = clock.policy_to_json(policy)
        if not came.history:
            return self._fresh_clock(*dimensions, came.created_at) | {"sla": snapshot}
        if came.end is not None and (came.end.at is None or not came.end.was_resolved):
            return clock.CLOSED_SOMETIME | {"sla": snapshot}
        ended_at, calendar = came.end.at if came.end else None, self.pack.calendar_of(policy)
        read = clock.history_columns(policy, calendar, started_at=came.created_at, ended_at=ended_at, now=self.now)
        return read | {"sla": snapshot}

    def facts(self, row: Row, came: Incoming) -> dict[str, Any]:
        """Says what the event `request.opened` keeps: no text of a reporter."""
        meta = {name: row[name] for name in ("category", "sub_category", "priority", "zone_id", "source")}
        known = {sub.id for sub in self.pack.categories[row["category"]].sub_categories}
        if not came.history and row["sub_category"] not in known:
            meta["sub_category"] = None  # the reporter's own words, which they may have erased
        meta |= {"state": row["status"], "state_category": row["state_category"]}
        meta |= {"sla_policy": row["sla"]["policy_id"] if row["sla"] else None, **came.about}
        if row["sla_steps_fired"]:
            meta["escalation_steps_passed"] = row["sla_steps_fired"]
        return meta

    def _policy_and_snapshot(self, category: str, zone: str, priority: str) -> tuple[Policy | None, Row | None]:
        policy = self.pack.policy_for(category, zone, priority)
        return policy, clock.policy_to_json(policy) if policy else None

    def _read_fresh(self, category: str, zone: str, priority: str, started_at: datetime) -> Row:
        policy, _ = self._snapshot(category, zone, priority)
        calendar = self.pack.calendar_of(policy)
        return clock.clock_columns(
            policy, calendar, started_at=started_at, pauses=(), now=self.now, fired_steps=0, finished_at=None
        )

    def _priority(self, came: Incoming) -> tuple[str, int]:
        if came.score is not None:
            return came.priority or priority_of_score(came.score), came.score
        if came.priority is not None:
            return came.priority, score_of_priority(came.priority)
        document, default = self.pack.document, self.pack.categories[came.category].default_priority
        if came.history:
            return default, score_of_priority(default)
        choice = choose_priority(
            default=default,
            tags=came.tags,
            text=came.description,
            tag_priorities=document.tag_priorities,
            hazard_words=document.hazard_words,
        )
        return choice.priority, choice.score
