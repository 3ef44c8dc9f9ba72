"""A ticket as the row of a request: place, zone, priority, SLA snapshot and clock. No I/O: runs beside the database."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from civicpulse.base.db import Row
from civicpulse.centre.rows import address_line
from civicpulse.packs.model import Pack
from civicpulse.places.cells import cell_of
from civicpulse.places.zones import UNZONED, ZoneIndex
from civicpulse.requests.clock import clock_columns, pauses_from_json, policy_to_json
from civicpulse.rules.addresses import address_key
from civicpulse.rules.priority import priority_of_score
from civicpulse.rules.sla import Policy
from civicpulse.triage.analysis import Analysis


class Writer:
    """Makes the rows of one batch. `now` is the instant of its writing."""

    def __init__(self, pack: Pack, zones: ZoneIndex, run_id: UUID, now: datetime) -> None:
        self._pack, self._zones, self._run, self._now = pack, zones, str(run_id), now
        self._clocks: dict[tuple[Any, ...], Row] = {}
        self._snapshots: dict[str, dict[str, Any]] = {}
        self._address_keys: dict[str | None, str | None] = {}

    def new(self, row: Row, analysis: Analysis) -> Row:
        """The request of a ticket that came for the first time, with what its event `created` says."""
        columns = self._columns(row, analysis.category, analysis.priority)
        columns |= self._clock(columns, started_at=row["given_at"], pauses=(), fired_steps=0)
        sla = columns["sla"]
        meta = self._meta(columns) | {"source": "csv", "status": self._pack.workflow.initial}
        meta |= {"sla_policy": sla["policy_id"] if sla else None}
        if row["evidence"]:
            meta["evidence"] = [file["sha256"] for file in row["evidence"]]
        return columns | {
            "external_id": row["client_guid"],
            "needs_person": analysis.needs_person,
            "created_at": row["given_at"],
            "meta": meta,
        }

    def renewed(self, row: Row, analysis: Analysis, known: Row) -> Row:
        """The same for one that is here and that nobody works on, with its events.

        What staff has decided of a text stands until the text is another one.
        """
        stands = known["corrected"] and row["outcome"] == "redo"
        category, score = analysis.category, analysis.priority
        if stands:
            category, score = known["category"], known["priority_score"]
        columns = self._columns(row, category, score)
        if stands:
            columns["priority"] = known["priority"]
        columns |= self._clock(
            columns,
            started_at=known["created_at"],
            pauses=known["sla_pauses"],
            fired_steps=known["sla_steps_fired"],
        )
        events = [{"type": "classified", "meta": self._meta(columns) | {"changed": row["outcome"] == "changed"}}]
        initial = self._pack.workflow.initial
        if known["status"] != initial:
            why = "Changed in the file." if row["outcome"] == "changed" else "Processed again."
            meta = {"from": known["status"], "to": initial, "reason": why, "run": self._run}
            events.append({"type": initial, "meta": meta})
        return columns | {"needs_person": analysis.needs_person and not stands, "events": events}

    def reworded(self, row: Row, known: Row) -> Row:
        """One whose text changed while somebody works on it, or afterwards."""
        meta = {"changed": True, "kept": known["status"], "run": self._run}
        events = [{"type": "classified", "meta": meta}]
        return {"id": known["id"], "description": row["given"]["description"], "events": events}

    def _columns(self, row: Row, category: str, score: int) -> Row:
        given, place = row["given"], row["place"]
        known = self._pack.categories.get(category)
        address = address_line(given)
        return {
            "id": row["request_id"],
            "is_public": known.public if known else False,
            "category": category,
            "description": given["description"],
            "priority": priority_of_score(score),
            "priority_score": score,
            "address_hint": address,
            "address_key": self._address_key(address),
            "segment": given["segment"],
            "lon": place["lon"],
            "lat": place["lat"],
            "country_code": place["country_code"],
            "geo_quality": place["quality"],
            **self._where(category, place),
        }

    def _where(self, category: str, place: Mapping[str, Any]) -> Row:
        """Cell and zone. The middle of a town has a cell only where nobody looks for twins at it."""
        lon, lat = place["lon"], place["lat"]
        if lon is None or lat is None:
            return {"cell": None, "zone_id": UNZONED}
        is_spot = place["quality"] == "house" or not self._pack.compatible(category)
        zone = self._zones.zone_of(lon, lat) if len(self._zones) and place["quality"] != "region" else None
        return {"cell": cell_of(lon, lat) if is_spot else None, "zone_id": zone or UNZONED}

    def _address_key(self, address: str | None) -> str | None:
        if address not in self._address_keys:
            self._address_keys[address] = address_key(address)
        return self._address_keys[address]

    def _clock(self, columns: Row, *, started_at: datetime, pauses: Any, fired_steps: int) -> Row:
        """The SLA's snapshot and columns; a batch of new tickets has few different ones."""
        policy = self._pack.policy_for(columns["category"], columns["zone_id"], columns["priority"])
        key = (policy.policy_id if policy else None, started_at, fired_steps)
        found = self._clocks.get(key) if not pauses else None
        if found is None:
            found = clock_columns(
                policy,
                self._pack.calendar_of(policy),
                started_at=started_at,
                pauses=pauses_from_json(pauses),
                now=self._now,
                fired_steps=fired_steps,
                finished_at=None,
            )
            found |= {"sla": self._snapshot(policy)}
            if not pauses:
                self._clocks[key] = found
        return found

    def _snapshot(self, policy: Policy | None) -> dict[str, Any] | None:
        if policy is None:
            return None
        if policy.policy_id not in self._snapshots:
            self._snapshots[policy.policy_id] = policy_to_json(policy)
        return self._snapshots[policy.policy_id]

    def _meta(self, columns: Row) -> dict[str, Any]:
        """What an event keeps: nothing of what the customer wrote or is."""
        names = ("category", "priority", "zone_id")
        return {name: columns[name] for name in names} | {"run": self._run}
