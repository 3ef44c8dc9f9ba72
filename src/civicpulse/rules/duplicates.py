"""Duplicates by place, time and words: is this report about a request that we already have? (R-DUP-01)"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from rapidfuzz import fuzz, utils

from civicpulse.rules.addresses import NAMED, address_key, is_room_alone, rooms_in, rooms_of_key

__all__ = [
    "Candidate",
    "DuplicatePolicy",
    "Judgement",
    "Match",
    "Report",
    "Score",
    "address_key",
    "attaches_by_opinion",
    "distance_m",
    "judge",
    "rank",
    "text_similarity",
]

EARTH_RADIUS_M = 6_371_008.8
DISTANCE_DECAY_M = 30.0
TIME_DECAY_HOURS = 48.0
SAME_POINT_M = 1.0
TEXT_WEIGHT = 0.5
ADDRESS_BONUS = 0.5
SECONDS_PER_HOUR = 3600
SURE_WORDS = 0.6  # a floor of a building may have two broken things: without a coordinate the words must agree
SURE_OPINION = 0.9
MIN_OPINION_TOTAL = 0.5  # what a language model is sure of must not look unlike to the score


@dataclass(frozen=True, slots=True)
class DuplicatePolicy:
    """Radii in metres, windows in hours: who is looked at, who is attached at once, how many are proposed.

    `attach_hours` counts within `attach_radius_m`, `address_hours` for an equal address. With `attach` off only an
    equal asset is attached at once: several things of the kind may lie at one address. With `neighbours` on, a thing is
    seen from several houses: known, different addresses within the radius may be one place.
    """

    radius_m: float = 100
    window_hours: float = 168
    attach_radius_m: float = 20
    attach_hours: float = 72
    reopen_hours: float = 24
    max_proposals: int = 3
    attach: bool = True
    address_hours: float = 168
    neighbours: bool = False
    llm_attach: bool = False
    """Whether a language model that is sure may attach what was proposed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came in: degrees, an aware time, `address_key` as `address_key()` made it; the text may be empty.

    Without degrees it can be told by asset or address only. `area` is the zone or town where that is known: equal words
    in two areas are two places.
    """

    lon: float | None
    lat: float | None
    at: datetime
    category: str
    address_key: str | None
    asset_id: str | None
    text: str
    area: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A master request of the same or a declared compatible category; the caller has filtered by category."""

    id: UUID
    number: str
    lon: float | None
    lat: float | None
    created_at: datetime
    category: str
    address_key: str | None
    asset_id: str | None
    text: str
    is_open: bool
    closed_at: datetime | None
    area: str | None = None
    is_shared: bool = True
    """Whether everybody who sees the report sees this one too: only then may the report show it or be attached to it."""


@dataclass(frozen=True, slots=True)
class Score:
    """How alike, by part; `total = distance * time + text + address`, between 0 and 2.

    Where either has no coordinate, `distance` is 0 and `distance_m` None.
    """

    total: float
    distance: float
    time: float
    address: float
    text: float
    distance_m: float | None
    hours: float


@dataclass(frozen=True, slots=True)
class Match:
    """One candidate with its score; `why` is a sentence for people."""

    candidate: Candidate
    score: Score
    attachable: bool
    why: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """`attached`: `master` is set; `proposed`: `proposed` is not empty, best first; `new`: neither.

    `proposed` is for staff. `shared` are the best of those that everybody who sees the report may know of.
    """

    outcome: Literal["attached", "proposed", "new"]
    master: Match | None
    proposed: tuple[Match, ...]
    shared: tuple[Match, ...] = ()


def judge(
    report: Report,
    candidates: Iterable[Candidate],
    policy: DuplicatePolicy,
    *,
    rejected: frozenset[UUID] = frozenset(),
) -> Judgement:
    """Attaches to the oldest certain master, else proposes the best few, else says that the report is new.

    Candidates beyond radius and window, closed for longer than `reopen_hours`, or in `rejected` (pairs that staff
    turned down) do not count. The order of `candidates` does not matter. A candidate that is not shared is proposed to
    staff at most:

    | report | candidate | attached | staff | the reporter and everybody else |
    |---|---|---|---|---|
    | public | public | when certain | proposed | proposed |
    | public | private | never | proposed | nothing |
    | private | public | when certain | proposed | proposed |
    | private | private, same reporter | when certain | proposed | proposed |
    | private | private, another reporter | never | proposed | nothing |
    """
    matches = rank(report, candidates, policy, rejected=rejected)
    certain = [match for match in matches if match.attachable]
    if certain:
        return Judgement("attached", min(certain, key=_age_order), ())
    best = tuple(matches[: policy.max_proposals])
    shared = tuple(match for match in matches if match.candidate.is_shared)[: policy.max_proposals]
    return Judgement("proposed", None, best, shared) if best else Judgement("new", None, ())


def rank(
    report: Report,
    candidates: Iterable[Candidate],
    policy: DuplicatePolicy,
    *,
    rejected: frozenset[UUID] = frozenset(),
) -> list[Match]:
    """Ranks every candidate that may be the same, best first: what `judge` decides on."""
    matches = [
        match
        for candidate in candidates
        if candidate.id not in rejected and (match := _match(report, candidate, policy)) is not None
    ]
    return sorted(matches, key=lambda match: (-match.score.total, *_age_order(match)))


def attaches_by_opinion(policy: DuplicatePolicy, *, verdict: str, confidence: float, total: float) -> bool:
    """Tells whether a proposed pair is merged because a language model says so: only where the pack allows it.

    The texts that it read are strangers' words and may have talked it into anything: it must be sure (`confidence`,
    0..1), and the score that it had no part in must agree (`total`).
    """
    is_sure = verdict == "same" and confidence >= SURE_OPINION
    return policy.llm_attach and is_sure and total >= MIN_OPINION_TOTAL


def distance_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Measures the great-circle distance in metres between two points in degrees."""
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half_lat = math.sin((phi2 - phi1) / 2) ** 2
    half_lon = math.sin(math.radians(lon2 - lon1) / 2) ** 2
    root = math.sqrt(min(1.0, half_lat + math.cos(phi1) * math.cos(phi2) * half_lon))
    return 2 * EARTH_RADIUS_M * math.asin(root)


def text_similarity(a: str, b: str) -> float:
    """Measures the share of common words, 0..1, blind to case, punctuation and word order; 0 where either text is empty."""
    first, second = sorted((utils.default_process(a.casefold()), utils.default_process(b.casefold())))
    if not first or not second:
        return 0.0
    return fuzz.token_set_ratio(first, second) / 100


def _match(report: Report, candidate: Candidate, policy: DuplicatePolicy) -> Match | None:
    metres = _metres(report, candidate)
    hours = abs((report.at - candidate.created_at).total_seconds()) / SECONDS_PER_HOUR
    if hours > policy.window_hours or not _is_current(report, candidate, policy):
        return None
    if not _is_about_the_same_place(report, candidate, metres, policy):
        return None
    score = _score(report, candidate, metres=metres, hours=hours)
    may_attach = candidate.is_shared and (policy.attach or _same_asset(report, candidate))
    attachable = may_attach and candidate.is_open and _is_certain(report, candidate, score, policy)
    return Match(candidate, score, attachable, _why(report, candidate, score))


def _metres(report: Report, candidate: Candidate) -> float | None:
    """Measures the distance; None where either has no coordinate."""
    if report.lon is None or report.lat is None or candidate.lon is None or candidate.lat is None:
        return None
    return distance_m(report.lon, report.lat, candidate.lon, candidate.lat)


def _is_about_the_same_place(
    report: Report, candidate: Candidate, metres: float | None, policy: DuplicatePolicy
) -> bool:
    if _same_asset(report, candidate):
        return True  # however far apart: a coordinate may be off by kilometres, the number on a lamp post is not
    return _same_address(report, candidate) if metres is None else metres <= policy.radius_m


def _is_current(report: Report, candidate: Candidate, policy: DuplicatePolicy) -> bool:
    if candidate.is_open:
        return True
    if candidate.closed_at is None:
        return False
    return (report.at - candidate.closed_at).total_seconds() <= policy.reopen_hours * SECONDS_PER_HOUR


def _score(report: Report, candidate: Candidate, *, metres: float | None, hours: float) -> Score:
    distance = 0.0 if metres is None else math.exp(-metres / DISTANCE_DECAY_M)
    time = math.exp(-hours / TIME_DECAY_HOURS)
    text = TEXT_WEIGHT * text_similarity(report.text, candidate.text)
    address = ADDRESS_BONUS if _same_address(report, candidate) or _same_asset(report, candidate) else 0.0
    return Score(distance * time + text + address, distance, time, address, text, metres, hours)


def _is_certain(report: Report, candidate: Candidate, score: Score, policy: DuplicatePolicy) -> bool:
    if not _same_asset(report, candidate) and _in_other_rooms(report, candidate):
        return False
    if score.distance_m is None and not _is_certain_without_distance(report, candidate, score):
        return False
    if _same_asset(report, candidate):
        return True
    if report.asset_id and candidate.asset_id:
        return False  # two lamp posts may stand 15 m apart: known, different assets are different faults
    if _same_address(report, candidate) and score.hours <= policy.address_hours:
        return True
    if score.distance_m is None:
        return False
    # Next door is another place, unless both were put on one point.
    apart = _known_apart(report, candidate) and not policy.neighbours
    radius = min(policy.attach_radius_m, SAME_POINT_M) if apart else policy.attach_radius_m
    return score.distance_m <= radius and score.hours <= policy.attach_hours


def _is_certain_without_distance(report: Report, candidate: Candidate, score: Score) -> bool:
    if _same_asset(report, candidate):
        return report.category == candidate.category
    is_somewhere = not is_room_alone(report.address_key or "")  # which building is not said
    return report.category == candidate.category and is_somewhere and score.text >= SURE_WORDS * TEXT_WEIGHT


def _in_other_rooms(report: Report, candidate: Candidate) -> bool:
    """Tells whether both say a room, in their words or as their place, and not the same."""
    said = rooms_in(report.text), rooms_in(candidate.text)
    placed = rooms_of_key(report.address_key), rooms_of_key(candidate.address_key)
    return (all(said) and said[0].isdisjoint(said[1])) or (all(placed) and placed[0] != placed[1])


def _same_address(report: Report, candidate: Candidate) -> bool:
    if not report.address_key or report.address_key != candidate.address_key:
        return False
    if report.lon is not None and candidate.lon is not None:
        return not report.address_key.startswith(NAMED)  # two coordinates say more than "near the library" said twice
    return not (report.area and candidate.area) or report.area == candidate.area


def _known_apart(report: Report, candidate: Candidate) -> bool:
    """Tells whether both name a house, and not the same; a place in words may be anywhere around."""
    one, other = report.address_key, candidate.address_key
    if not one or not other or one.startswith(NAMED) or other.startswith(NAMED):
        return False
    return one != other


def _same_asset(report: Report, candidate: Candidate) -> bool:
    return bool(report.asset_id) and report.asset_id == candidate.asset_id


def _why(report: Report, candidate: Candidate, score: Score) -> str:
    facts = [] if score.distance_m is None else [f"{score.distance_m:.0f} m away"]
    facts.append(f"{score.hours:.1f} h apart")
    if _same_asset(report, candidate):
        facts.append(f"the same asset {candidate.asset_id}")
    if _same_address(report, candidate):
        facts.append(f"the same address {(candidate.address_key or '').removeprefix(NAMED)}")
    if score.text:
        facts.append(f"words {score.text / TEXT_WEIGHT:.0%} alike")
    if not candidate.is_open:
        facts.append("already closed")
    return f"{candidate.number}: {', '.join(facts)}"


def _age_order(match: Match) -> tuple[datetime, str, UUID]:
    return match.candidate.created_at, match.candidate.number, match.candidate.id
