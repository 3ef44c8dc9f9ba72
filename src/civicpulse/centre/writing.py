"""A ticket of a file as what intake takes, and as a change of the request that it became before. No I/O."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from civicpulse.base.db import Row
from civicpulse.centre.rows import address_line
from civicpulse.centre.run import ACTOR
from civicpulse.centre.staging import SOURCE
from civicpulse.intake.incoming import Incoming, Reporter
from civicpulse.intake.placing import spot_of_place
from civicpulse.intake.preparing import Preparer
from civicpulse.places.place import Place
from civicpulse.places.zones import ZoneIndex
from civicpulse.requests.actions import decide_move, move_as_decided
from civicpulse.requests.changes import Change
from civicpulse.rules.outcome import Refusal
from civicpulse.triage.analysis import Analysis

REPORTER = Reporter(ACTOR.key)
UNASSIGNED: Row = {
    "assigned_agent_id": None,
    "office_id": None,
    "assigned_at": None,
    "candidate_agents": [],
    "assignment_policy": None,
}


class Writer:
    """Makes the requests of one batch of a run."""

    def __init__(self, preparer: Preparer, zones: ZoneIndex, run_id: str) -> None:
        self._preparer, self._zones, self._run = preparer, zones, run_id

    def incoming(self, row: Row, analysis: Analysis, *, created_at: datetime | None = None) -> Incoming:
        """Makes the incoming request of a staged row of the file (staging.next_tickets), with what was understood of it."""
        given, address, place = row["given"], address_line(row["given"]), Place(**row["place"])
        about: dict[str, Any] = {"run": self._run}
        if row["evidence"]:
            about["evidence"] = [file["sha256"] for file in row["evidence"]]
        return Incoming(
            id=row["request_id"],
            source=SOURCE,
            category=analysis.category,
            description=given["description"],
            spot=spot_of_place(self._zones, place, address),
            reporter=REPORTER,
            created_at=created_at or row["given_at"],
            external_id=row["client_guid"],
            score=analysis.priority,
            needs_person=analysis.needs_person,
            segment=given["segment"],
            evidence=row["evidence"] or (),
            about=about,
        )

    def renew(self, change: Change, row: Row, analysis: Analysis, *, corrected: bool) -> bool:
        """Lets a request that nobody works on begin anew, as the file has it now; False where the workflow does not.

        What staff has decided of a text stands until the text is another one.
        """
        pack, initial, known = self._preparer.pack, self._preparer.pack.workflow.initial, dict(change.row)
        change.pack = pack
        why = "Changed in the file." if row["outcome"] == "changed" else "Processed again."
        said = {"reason": why, "run": self._run}
        move = None if known["status"] == initial else decide_move(change, initial, said=said)
        if isinstance(move, Refusal):
            return False
        stands = corrected and row["outcome"] == "redo"
        came = self.incoming(row, analysis, created_at=known["created_at"])
        columns = self._judged(came, known if stands else None)
        change.set(**columns, **UNASSIGNED, pack_version=self._preparer.version)
        about = {name: columns[name] for name in ("category", "priority", "zone_id")}
        change.tell("request.classified", **about, run=self._run, changed=row["outcome"] == "changed")
        if move is not None:
            move_as_decided(change, move, said=said)
            change.set(assigned_at=None)
        return True

    def _judged(self, came: Incoming, decided: Mapping[str, Any] | None) -> Row:
        """Gives the columns that the file changes; `decided`: the row whose category and priority staff has set."""
        preparer = self._preparer
        columns = preparer.judged(came, decided=decided)
        category = preparer.pack.categories.get(columns["category"])
        return columns | {
            "sla": preparer.snapshot_of(columns),
            "description": came.description,
            "segment": came.segment,
            "is_public": category.public if category else False,
            "needs_person": came.needs_person and decided is None,
        }

    def reword(self, change: Change, row: Row) -> None:
        """Changes the text alone of a request that somebody works on, or of one that is done."""
        change.set(description=row["given"]["description"])
        change.tell("request.classified", changed=True, kept=change.row["status"], run=self._run)
