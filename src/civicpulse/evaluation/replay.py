"""The replay: every request of a history in turn meets the masters that stand by then, as in intake."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Final, Literal
from uuid import UUID

from civicpulse.evaluation.history import Past
from civicpulse.packs.model import Pack
from civicpulse.places.cells import cells_around
from civicpulse.rules.duplicates import Candidate, DuplicatePolicy, Match, Report, distance_m, judge

# The bounds of the function intake_open: what it looks at in one cell, and what it hands over.
MAX_OF_A_CELL: Final = 20
MAX_CANDIDATES: Final = 25
ROUNDING: Final = 1.01

_cells = lru_cache(maxsize=200_000)(cells_around)  # the same places in replay after replay
Change = Callable[[DuplicatePolicy], DuplicatePolicy]


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of the request at that position of the history; masters and proposals are positions too."""

    outcome: Literal["attached", "proposed", "new"]
    master: int | None
    proposed: tuple[int, ...]
    match: Match | None


@dataclass(frozen=True, slots=True)
class _Master:
    position: int
    past: Past


def replay(history: Sequence[Past], pack: Pack, change: Change = lambda policy: policy) -> list[Decision]:
    """Decides for every request, oldest first, by the pack's policy as `change` makes it; what is attached is no master.

    A master closes when the file says so.
    """
    search = _Search(pack)
    policies = {name: change(pack.duplicate_policy(name)) for name in pack.categories}
    decisions = []
    for position, past in enumerate(history):
        decision = _decide(search, past, policies[past.category])
        decisions.append(decision)
        if decision.master is None:
            search.add(position, past)
    return decisions


def _decide(search: "_Search", past: Past, policy: DuplicatePolicy) -> Decision:
    candidates = search.candidates(past, policy)
    if not candidates:
        return Decision("new", None, (), None)
    report = Report(past.lon, past.lat, past.at, past.category, past.address_key, past.asset_id, past.text)
    verdict = judge(report, candidates, policy)
    return Decision(
        verdict.outcome,
        None if verdict.master is None else verdict.master.candidate.id.int,
        tuple(match.candidate.id.int for match in verdict.proposed),
        verdict.master or next(iter(verdict.proposed), None),
    )


class _Search:
    """The masters by category and cell: what the function intake_open finds in the database."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack
        self._masters: dict[tuple[str, int], list[_Master]] = defaultdict(list)

    def add(self, position: int, past: Past) -> None:
        """Adds a request that can be found from now on."""
        if self._pack.compatible(past.category):
            self._masters[past.category, past.cell].append(_Master(position, past))

    def candidates(self, past: Past, policy: DuplicatePolicy) -> list[Candidate]:
        """Finds the nearest of the newest, within radius and window, open or closed a short while ago."""
        near: list[tuple[float, _Master]] = []
        categories = self._pack.compatible(past.category)
        if not categories:
            return []
        for cell in _cells(past.lon, past.lat, policy.radius_m):
            for category in categories:
                masters = self._masters.get((category, cell))
                if masters:
                    near += self._near(past, masters, policy)
        near.sort(key=lambda found: (found[0], found[1].position))
        return [_candidate(master, past) for _, master in near[:MAX_CANDIDATES]]

    def _near(self, past: Past, masters: list[_Master], policy: DuplicatePolicy) -> list[tuple[float, _Master]]:
        since = past.at - timedelta(hours=policy.window_hours)
        closed_since = past.at - timedelta(hours=policy.reopen_hours)
        newest = 0
        found = []
        for master in reversed(masters):
            other = master.past
            if other.at < since or newest == MAX_OF_A_CELL:
                break
            if other.closed_at is not None and other.closed_at < closed_since:
                continue
            newest += 1
            metres = distance_m(past.lon, past.lat, other.lon, other.lat)
            if metres <= policy.radius_m * ROUNDING:
                found.append((metres, master))
        return found


def _candidate(master: _Master, now: Past) -> Candidate:
    past = master.past
    is_open = past.closed_at is None or past.closed_at > now.at
    return Candidate(
        id=UUID(int=master.position),
        number=f"{master.position:09}",  # in order of time, as the numbers are that the product gives
        lon=past.lon,
        lat=past.lat,
        created_at=past.at,
        category=past.category,
        address_key=past.address_key,
        asset_id=past.asset_id,
        text=past.text[:500],
        is_open=is_open,
        closed_at=None if is_open else past.closed_at,
    )


def with_reach(
    policy: DuplicatePolicy, reach: float, *, neighbours: bool = False, attach: bool = False, windows: float = 1.0
) -> DuplicatePolicy:
    """Gives the policy with that many times the distance and time within which a report is attached at once.

    With `neighbours` different addresses do not matter, with `attach` what is only proposed for its kind is attached too;
    `windows` makes the time longer in which candidates are looked for.
    """
    return replace(
        policy,
        attach_radius_m=policy.attach_radius_m * reach,
        attach_hours=policy.attach_hours * reach,
        address_hours=policy.address_hours * reach,
        neighbours=policy.neighbours or neighbours,
        attach=policy.attach or attach,
        window_hours=policy.window_hours * windows,
    )
