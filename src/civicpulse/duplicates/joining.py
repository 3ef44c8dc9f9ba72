"""New requests held against those that are there: who becomes a duplicate of whom, before and after they are written."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from civicpulse.base.db import Row, Tx
from civicpulse.base.events import Actor
from civicpulse.duplicates.merging import add_links, link_row, tell_masters
from civicpulse.duplicates.search import candidate_of_row, candidates_of, report_of
from civicpulse.packs.model import Pack
from civicpulse.requests import clock
from civicpulse.requests.queries import lock_by_ids
from civicpulse.requests.store import Event
from civicpulse.requests.visibility import NOTHING, readers_of, seen_candidates
from civicpulse.rules.duplicates import Candidate, Judgement, judge
from civicpulse.rules.lifecycle import follow, is_ended


class Joining:
    """Requests that are opened together by one version of a pack, in their order. `at` is the instant of the write."""

    def __init__(self, tx: Tx, actor: Actor, pack: Pack, at: datetime) -> None:
        self._tx, self._actor, self._pack, self._at = tx, actor, pack, at
        self._masters: dict[UUID, Row] = {}
        self._links = list[Row]()
        self._joined: dict[UUID, list[str]] = {}
        self._beside = _Beside(pack)

    async def judge(self, coming: Sequence[tuple[Row, Sequence[Row]]]) -> dict[UUID, Judgement]:
        """Judges each new row, by its id, from the candidates that were found for it and those that come with it.

        A master that has ended, was merged or was hidden in this moment is none: then the request is new. No pair of a new request
        can have been turned down before.
        """
        verdicts: dict[UUID, Judgement] = {}
        near = [(row, found) for row, found in coming if found]
        seen = await seen_candidates(self._tx, [(readers_of(row), found) for row, found in near])
        shared = {row["id"]: ids for (row, _), ids in zip(near, seen, strict=True)}
        for row, found in coming:
            candidates = [*candidates_of(found, shared.get(row["id"], ())), *self._beside.candidates(row)]
            policy = self._pack.duplicate_policy(row["category"])
            verdict = judge(report_of(row, row["created_at"]), candidates, policy) if candidates else _NEW
            verdicts[row["id"]] = verdict
            if verdict.master is None:
                self._beside.add(row)
        await self._lock_masters(verdicts)
        for row, _ in coming:
            verdict = verdicts[row["id"]]
            if verdict.master is not None and not self._is_master_for(row, verdict):
                verdicts[row["id"]] = replace(verdict, outcome="new", master=None)
        return verdicts

    async def _lock_masters(self, verdicts: dict[UUID, Judgement]) -> None:
        wanted = {verdict.master.candidate.id for verdict in verdicts.values() if verdict.master is not None}
        self._masters = {key: row for key in wanted if (row := self._beside.row(key)) is not None}
        there = sorted(wanted - self._masters.keys())
        for row in await lock_by_ids(self._tx, there) if there else ():
            if row["master_id"] is None and not is_ended(row["state_category"]):
                self._masters[row["id"]] = row

    def _is_master_for(self, row: Row, verdict: Judgement) -> bool:
        """Tells whether the master that was decided on still is one, and everybody who sees the request may see it."""
        master = self._masters.get(verdict.master.candidate.id) if verdict.master else None
        return master is not None and readers_of(row).sees(master)

    def join(self, row: Row, verdict: Judgement) -> list[Event]:
        """Lets a new row stand where its master stands; the event that says so. Nothing where it is no duplicate."""
        if verdict.master is None:
            return []
        master, score = self._masters[verdict.master.candidate.id], asdict(verdict.master.score)
        self._links.append(link_row(row, master, score=score))
        self._joined.setdefault(master["id"], []).append(row["number"])
        row |= follow(row, master) | {"master_id": master["id"]}
        row |= clock.row_columns(row, self._pack, self._at)
        about: dict[str, Any] = {"master_request_id": master["number"], "master_id": str(master["id"])}
        return [Event("request.merged", about | {"origin": "intake", "score": score}, self._at)]

    async def link(self, added: set[UUID], *, quietly: bool) -> None:
        """Keeps the links of those that were written, and tells the trails of their masters; `quietly` as in store.insert."""
        links = [link for link in self._links if link["duplicate_id"] in added]
        if not links:
            return
        await add_links(self._tx, self._actor, links, origin="intake", at=self._at)
        told = {self._masters[key]["id"]: (self._masters[key], numbers) for key, numbers in self._joined.items()}
        await tell_masters(
            self._tx, self._actor, list(told.values()), type="request.duplicate_added", at=self._at, quietly=quietly
        )


class _Beside:
    """The masters among those that come together, found by cell, address and asset."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._rows: dict[UUID, Row] = {}
        self._by_category: dict[str, list[Candidate]] = {}

    def add(self, row: Row) -> None:
        if self._pack.compatible(row["category"]):
            self._rows[row["id"]] = row
            self._by_category.setdefault(row["category"], []).append(candidate_of_row(row))

    def row(self, key: UUID) -> Row | None:
        return self._rows.get(key)

    def candidates(self, row: Row) -> list[Candidate]:
        """Finds the requests before it that may be the same: the latest hundred."""
        found = [one for name in self._pack.compatible(row["category"]) for one in self._by_category.get(name, ())]
        sight = readers_of(row) if found else NOTHING
        return [replace(one, is_shared=sight.sees(self._rows[one.id])) for one in found[-MAX_BESIDE:]]


MAX_BESIDE = 100
_NEW = Judgement("new", None, ())
