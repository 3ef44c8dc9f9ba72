"""Duplicates: distance, time, address and words, and what is attached, proposed or new."""

import csv
import gzip
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.duplicates import (
    Candidate,
    DuplicatePolicy,
    Report,
    address_key,
    attaches_by_opinion,
    distance_m,
    judge,
    rank,
    text_similarity,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
POLICY = DuplicatePolicy()
LON, LAT = -71.06, 42.36
METRE = 1 / 111_195  # degrees of latitude


def a_report(**changes: Any) -> Report:
    return replace(Report(LON, LAT, NOON, "pothole", None, None, "a deep pothole"), **changes)


def a_candidate(number: int = 1, *, metres: float = 0, hours: float = 1, **changes: Any) -> Candidate:
    made = Candidate(
        id=UUID(int=number),
        number=f"CST-2026-{number:06}",
        lon=LON,
        lat=LAT + metres * METRE,
        created_at=NOON - timedelta(hours=hours),
        category="pothole",
        address_key=None,
        asset_id=None,
        text="pothole",
        is_open=True,
        closed_at=None,
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("candidate", "outcome"),
    [
        (a_candidate(metres=19, hours=71), "attached"),
        (a_candidate(metres=21, hours=71), "proposed"),
        (a_candidate(metres=19, hours=73), "proposed"),
        (a_candidate(metres=99, hours=167), "proposed"),
        (a_candidate(metres=101), "new"),
        (a_candidate(hours=169), "new"),
        (a_candidate(metres=95, hours=160, address_key="12 elm st"), "attached"),
        (a_candidate(metres=95, hours=160, asset_id="POLE-7"), "attached"),
        (a_candidate(metres=101, address_key="12 elm st"), "new"),
        (a_candidate(metres=10, asset_id="POLE-8"), "proposed"),
        (a_candidate(metres=5_000, asset_id="POLE-7"), "attached"),  # a coordinate may be off, a number is not
        (a_candidate(metres=5_000, hours=169, asset_id="POLE-7"), "new"),
        (a_candidate(hours=-5), "attached"),  # an import may bring the older report later
        (a_candidate(is_open=False, closed_at=NOON - timedelta(hours=23)), "proposed"),
        (a_candidate(is_open=False, closed_at=NOON - timedelta(hours=25)), "new"),
        (a_candidate(is_open=False), "new"),
        (a_candidate(text=""), "attached"),
        (a_candidate(text="something else entirely"), "attached"),
    ],
)
def test_distance_time_address_and_state_decide_the_outcome(candidate: Candidate, outcome: str) -> None:
    report = a_report(address_key="12 elm st", asset_id="POLE-7")
    assert judge(report, [candidate], POLICY).outcome == outcome


@pytest.mark.parametrize(
    ("candidate", "policy", "outcome"),
    [
        (a_candidate(address_key="12 elm st", hours=100), {}, "attached"),
        (a_candidate(address_key="12 elm st", hours=100), {"address_hours": 72}, "proposed"),
        (a_candidate(address_key="14 elm st", metres=10), {}, "proposed"),  # next door
        (a_candidate(address_key="14 elm st", metres=10), {"neighbours": True}, "attached"),
        (a_candidate(address_key="14 elm st", metres=30), {"neighbours": True}, "proposed"),
        (a_candidate(address_key="14 elm st", metres=0), {}, "attached"),  # two names of one point
        (a_candidate(address_key=None, metres=10), {}, "attached"),
        (a_candidate(address_key="12 elm st"), {"attach": False}, "proposed"),
        (a_candidate(asset_id="POLE-7"), {"attach": False}, "attached"),  # the number on it says that it is the same
        (a_candidate(asset_id="POLE-7", address_key="14 elm st", metres=50, hours=160), {}, "attached"),
    ],
)
def test_a_kind_of_problem_may_have_its_own_rule(candidate: Candidate, policy: dict[str, Any], outcome: str) -> None:
    report = a_report(address_key="12 elm st", asset_id="POLE-7")
    assert judge(report, [candidate], replace(POLICY, **policy)).outcome == outcome


def test_the_oldest_of_several_certain_masters_wins() -> None:
    near, old = a_candidate(1, metres=0, hours=1), a_candidate(2, metres=15, hours=50)
    judgement = judge(a_report(), [near, old], POLICY)
    assert judgement.master is not None
    assert judgement.master.candidate == old


def test_the_best_three_are_proposed_best_first() -> None:
    candidates = [a_candidate(number, metres=20 + number * 10) for number in range(1, 6)]
    judgement = judge(a_report(), candidates, POLICY)
    assert [match.candidate.id.int for match in judgement.proposed] == [1, 2, 3]


def test_words_rank_but_do_not_decide() -> None:
    alike, other = a_candidate(1, metres=60, text="deep pothole"), a_candidate(2, metres=60, text="blue car")
    proposed = judge(a_report(), [other, alike], POLICY).proposed
    assert [match.candidate for match in proposed] == [alike, other]


def test_a_pair_that_staff_rejected_stays_rejected() -> None:
    assert judge(a_report(), [a_candidate(1)], POLICY, rejected=frozenset({UUID(int=1)})).outcome == "new"


def test_a_match_says_why() -> None:
    master = judge(a_report(address_key="12 elm st"), [a_candidate(address_key="12 elm st")], POLICY).master
    assert master is not None
    assert master.why == "CST-2026-000001: 0 m away, 1.0 h apart, the same address 12 elm st, words 100% alike"


def test_distance_is_in_metres() -> None:
    assert distance_m(-71.0587, 42.3594, -71.0587, 42.3594) == 0
    assert distance_m(0, 0, 0, 1) == pytest.approx(111_195, abs=1)
    assert distance_m(179.9999, 0, -179.9999, 0) == pytest.approx(22.2, abs=0.1)


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("Deep POTHOLE!", "pothole, deep", 1, 1),
        ("ЯМА на дороге", "яма на дороге", 1, 1),
        ("", "pothole", 0, 0),
        ("...", "...", 0, 0),
        ("broken swing", "water leak", 0, 0.5),
    ],
)
def test_texts_are_compared_by_their_words(one: str, other: str, least: float, most: float) -> None:
    assert least <= text_similarity(one, other) <= most


NOWHERE: dict[str, Any] = {"lon": None, "lat": None}


def a_placeless_report(**changes: object) -> Report:
    return a_report(**({"address_key": "@2 fl library", "asset_id": "LIFT-1"} | NOWHERE | changes))


@pytest.mark.parametrize(
    ("candidate", "outcome"),
    [
        ({"address_key": "@2 fl library"}, "attached"),
        ({"address_key": "@2 fl library", "text": "deep pothole, cars swerve"}, "attached"),
        ({"address_key": "@2 fl library", "text": "the light flickers"}, "proposed"),
        ({"address_key": "@2 fl library", "text": ""}, "proposed"),
        ({"address_key": "@2 fl library", "category": "sidewalk_damage"}, "proposed"),
        ({"address_key": "@2 fl library", "asset_id": "LIFT-2"}, "proposed"),
        ({"address_key": "@2 fl library", "hours": 169}, "new"),
        ({"address_key": "@2 fl library", "hours": 100}, "proposed"),
        ({"address_key": "@2 fl library", "is_open": False, "closed_at": NOON}, "proposed"),
        ({"address_key": "@3 fl library"}, "new"),
        ({"address_key": None}, "new"),
        ({"asset_id": "LIFT-1", "text": "something else entirely"}, "attached"),
        ({"asset_id": "LIFT-1", "category": "sidewalk_damage"}, "proposed"),
        ({"asset_id": "LIFT-1", "lon": LON, "lat": LAT, "text": "something else"}, "attached"),
        ({"address_key": "@2 fl library", "lon": LON, "lat": LAT}, "attached"),
    ],
)
def test_without_coordinates_asset_or_address_and_words_decide(candidate: dict[str, Any], outcome: str) -> None:
    policy = replace(POLICY, address_hours=72)
    judgement = judge(a_placeless_report(), [a_candidate(**(NOWHERE | candidate))], policy)
    assert judgement.outcome == outcome
    for match in (judgement.master, *judgement.proposed):
        assert match is None or (match.score.distance, match.score.distance_m) == (0, None)


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [("Z-1", "Z-1", "attached"), ("Z-1", "Z-2", "new"), ("Z-1", None, "attached"), (None, None, "attached")],
)
def test_equal_words_in_two_zones_are_two_places(one: str | None, other: str | None, outcome: str) -> None:
    report = a_placeless_report(asset_id=None, area=one)
    candidate = a_candidate(address_key="@2 fl library", area=other, **NOWHERE)
    assert judge(report, [candidate], POLICY).outcome == outcome
    same_asset = judge(a_placeless_report(area=one), [replace(candidate, asset_id="LIFT-1")], POLICY)
    assert same_asset.outcome == "attached"


def test_two_coordinates_say_more_than_a_name_that_both_give() -> None:
    report = a_report(address_key="@downtown near")
    assert judge(report, [a_candidate(metres=60, address_key="@downtown near")], POLICY).outcome == "proposed"
    assert judge(report, [a_candidate(metres=200, address_key="@downtown near")], POLICY).outcome == "new"


def test_no_place_at_all_finds_nothing() -> None:
    report = a_placeless_report(address_key=None, asset_id=None)
    assert judge(report, [a_candidate(), a_candidate(2, **NOWHERE)], POLICY).outcome == "new"


def test_a_match_without_distance_says_why() -> None:
    master = judge(a_placeless_report(), [a_candidate(address_key="@2 fl library", **NOWHERE)], POLICY).master
    assert master is not None
    assert master.why == "CST-2026-000001: 1.0 h apart, the same address 2 fl library, words 100% alike"


def test_all_matches_are_ranked_and_the_rule_decides_on_them() -> None:
    candidates = [a_candidate(number, metres=20 + number * 10) for number in range(1, 6)]
    ranked = rank(a_report(), candidates, POLICY)
    assert [match.candidate.id.int for match in ranked] == [1, 2, 3, 4, 5]
    assert judge(a_report(), candidates, POLICY).proposed == tuple(ranked[:3])
    assert len(rank(a_report(), candidates, POLICY, rejected=frozenset({UUID(int=1)}))) == 4


@pytest.mark.parametrize(
    ("allowed", "verdict", "confidence", "total", "expected"),
    [
        (True, "same", 0.9, 0.5, True),
        (False, "same", 1, 2, False),
        (True, "same", 0.89, 2, False),
        (True, "same", 1, 0.49, False),
        (True, "unsure", 1, 2, False),
        (True, "different", 1, 2, False),
    ],
)
def test_a_model_attaches_only_where_the_pack_and_the_score_agree(
    allowed: bool, verdict: str, confidence: float, total: float, expected: bool
) -> None:
    policy = DuplicatePolicy(llm_attach=allowed)
    assert attaches_by_opinion(policy, verdict=verdict, confidence=confidence, total=total) is expected


degrees = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
words = st.text(max_size=30)
offsets = st.tuples(st.floats(-150, 150), st.floats(-200, 200), st.sampled_from(["", "pothole", "яма"]), st.booleans())

ADDRESSES = [None, "12 elm st", "14 elm st"]
NEVER = replace(POLICY, attach=False)
policies = st.builds(
    DuplicatePolicy,
    attach_radius_m=st.floats(0, 100),
    attach_hours=st.floats(0, 168),
    address_hours=st.floats(0, 168),
    attach=st.booleans(),
    neighbours=st.booleans(),
)


@given(degrees, degrees)
def test_distance_is_symmetric(one: tuple[float, float], other: tuple[float, float]) -> None:
    assert distance_m(*one, *other) == distance_m(*other, *one)


@given(words, words)
def test_text_similarity_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert 0 <= text_similarity(one, other) == text_similarity(other, one) <= 1


@given(st.floats(0, 90), st.floats(-160, 160), words, words)
def test_a_pair_scores_the_same_from_both_sides(metres: float, hours: float, text: str, other: str) -> None:
    here, there = a_report(text=text), a_candidate(metres=metres, hours=hours, text=other)
    swapped_report = a_report(lat=there.lat, at=there.created_at, text=other)
    swapped = a_candidate(metres=0, hours=0, text=text)
    one, two = judge(here, [there], POLICY), judge(swapped_report, [swapped], POLICY)
    scores = [next(match.score for match in (found.master, *found.proposed) if match) for found in (one, two)]
    assert scores[0] == scores[1]


keys = st.sampled_from([None, "@2 fl library", "15 main st"])
assets = st.sampled_from([None, "LIFT-1", "LIFT-2"])
areas = st.sampled_from([None, "Z-1", "Z-2"])
sides = st.tuples(st.booleans(), keys, assets, areas, words, st.sampled_from(["pothole", "sidewalk_damage"]))


@given(sides, sides, st.floats(0, 200))
def test_a_pair_is_the_same_from_both_sides_also_without_coordinates(
    one: tuple[bool, str | None, str | None, str | None, str, str],
    other: tuple[bool, str | None, str | None, str | None, str, str],
    hours: float,
) -> None:
    def report(side: tuple[bool, str | None, str | None, str | None, str, str], at: datetime) -> Report:
        placed, key, asset, area, text, category = side
        lon, lat = (LON, LAT) if placed else (None, None)
        return Report(lon, lat, at, category, key, asset, text, area)

    def candidate(side: tuple[bool, str | None, str | None, str | None, str, str], at: datetime) -> Candidate:
        made = report(side, at)
        about = {
            name: getattr(made, name) for name in ("lon", "lat", "category", "address_key", "asset_id", "text", "area")
        }
        return a_candidate(created_at=at, **about)

    earlier = NOON - timedelta(hours=hours)
    seen = [
        judge(report(one, NOON), [candidate(other, earlier)], POLICY),
        judge(report(other, earlier), [candidate(one, NOON)], POLICY),
    ]
    assert seen[0].outcome == seen[1].outcome
    scores = [[match.score for match in (found.master, *found.proposed) if match] for found in seen]
    assert scores[0] == scores[1]
    for score in scores[0]:
        assert 0 <= score.total <= 2
        assert (score.distance_m is None) == (not (one[0] and other[0]))


@given(st.floats(0, 99), st.floats(0, 99), st.floats(0, 167), st.floats(0, 167), st.sampled_from(ADDRESSES))
def test_a_score_never_rises_with_distance_or_time(
    metres: float, further: float, hours: float, later: float, address: str | None
) -> None:
    near, far = sorted((metres, further))
    soon, late = sorted((hours, later))
    scores = [
        judge(a_report(address_key="12 elm st"), [a_candidate(metres=away, hours=ago, address_key=address)], NEVER)
        for away, ago in ((near, soon), (far, late))
    ]
    better, worse = (score.proposed[0].score.total for score in scores)
    assert worse <= better + 1e-9


@given(st.floats(0, 99), st.floats(0, 167), st.sampled_from(ADDRESSES), policies, policies)
def test_a_looser_policy_attaches_whatever_a_stricter_one_does(
    metres: float, hours: float, address: str | None, one: DuplicatePolicy, other: DuplicatePolicy
) -> None:
    loose = DuplicatePolicy(
        attach_radius_m=max(one.attach_radius_m, other.attach_radius_m),
        attach_hours=max(one.attach_hours, other.attach_hours),
        address_hours=max(one.address_hours, other.address_hours),
        attach=one.attach or other.attach,
        neighbours=one.neighbours or other.neighbours,
    )
    report, candidate = a_report(address_key="12 elm st"), a_candidate(metres=metres, hours=hours, address_key=address)
    if judge(report, [candidate], one).outcome == "attached":
        assert judge(report, [candidate], loose).outcome == "attached"


@given(st.floats(0, 99), st.floats(0, 167), st.sampled_from(ADDRESSES), st.sampled_from(ADDRESSES), policies)
def test_a_pair_is_decided_the_same_from_both_sides(
    metres: float, hours: float, mine: str | None, yours: str | None, policy: DuplicatePolicy
) -> None:
    there = a_candidate(metres=metres, hours=hours, address_key=yours, text="a deep pothole")
    swapped = a_report(lat=there.lat, at=there.created_at, address_key=yours)
    back = a_candidate(hours=0, address_key=mine, text="a deep pothole")
    one, two = judge(a_report(address_key=mine), [there], policy), judge(swapped, [back], policy)
    assert one.outcome == two.outcome


@given(st.lists(offsets, max_size=6), st.randoms())
def test_the_order_of_candidates_does_not_matter(made: list[tuple[float, float, str, bool]], random: Random) -> None:
    candidates = [
        a_candidate(number, metres=metres, hours=hours, text=text, is_open=is_open, closed_at=None if is_open else NOON)
        for number, (metres, hours, text, is_open) in enumerate(made)
    ]
    shuffled = candidates.copy()
    random.shuffle(shuffled)
    judgement = judge(a_report(), candidates, POLICY)
    assert judge(a_report(), shuffled, POLICY) == judgement
    assert (judgement.outcome == "attached") == (judgement.master is not None)
    assert (judgement.outcome == "proposed") == bool(judgement.proposed)
    assert judgement.master is None or judgement.master.candidate.is_open


def test_real_street_light_and_tree_reports_reach_the_floor(shared_data: Path) -> None:
    """Boston, July-September 2011: staff's own flags, a lower bound for precision."""
    with (shared_data / "boston_dup_labels_2011-07_09.csv").open() as file:
        flagged = {row["case_enquiry_id"] for row in csv.DictReader(file)}
    attached = hits = known = 0
    for rows in boston_rows(shared_data, "Street Light Outages", "Tree Emergencies"):
        recent: deque[Candidate] = deque()
        for row in rows:
            report, case = boston_report(row), row["case_enquiry_id"]
            known += case in flagged
            while recent and report.at - recent[0].created_at > timedelta(hours=POLICY.window_hours):
                recent.popleft()
            near = [as_of(one, report.at) for one in recent if abs((one.lat or 0) - (report.lat or 0)) < 100 * METRE]
            if judge(report, near, POLICY).outcome == "attached":
                attached, hits = attached + 1, hits + (case in flagged)
            recent.append(boston_candidate(row, report))
    assert hits / attached > 0.5
    assert hits / known > 0.55


def boston_rows(data: Path, *kinds: str) -> list[list[dict[str, str]]]:
    """The placed rows of each kind, oldest first."""
    with gzip.open(data / "boston_311_2011-07_09.csv.gz", "rt", encoding="utf-8") as file:
        reader = csv.reader(file)
        names = next(reader)
        column = names.index("type")
        rows = [dict(zip(names, cells, strict=False)) for cells in reader if cells[column] in kinds]
    placed = [row for row in rows if (row["latitude"], row["longitude"]) != ("42.3594", "-71.0587") and row["latitude"]]
    placed.sort(key=lambda row: row["open_dt"])
    return [[row for row in placed if row["type"] == kind] for kind in kinds]


def boston_report(row: dict[str, str]) -> Report:
    at = datetime.fromisoformat(row["open_dt"]).replace(tzinfo=UTC)
    place = float(row["longitude"]), float(row["latitude"])
    return Report(*place, at, row["type"], address_key(row["location"]), None, "")


def boston_candidate(row: dict[str, str], report: Report) -> Candidate:
    closed = datetime.fromisoformat(row["closed_dt"]).replace(tzinfo=UTC) if row["closed_dt"] else None
    case = row["case_enquiry_id"]
    return Candidate(
        id=UUID(int=int(case)),
        number=case,
        lon=report.lon,
        lat=report.lat,
        created_at=report.at,
        category=report.category,
        address_key=report.address_key,
        asset_id=None,
        text="",
        is_open=True,
        closed_at=closed,
    )


def as_of(candidate: Candidate, at: datetime) -> Candidate:
    return replace(candidate, is_open=candidate.closed_at is None or candidate.closed_at > at)


@pytest.mark.parametrize(
    ("report", "candidate", "outcome"),
    [
        ({"address_key": "@building:12 room:204"}, {"address_key": "@building:12 room:204"}, "attached"),
        ({"address_key": "@room:204"}, {"address_key": "@room:204"}, "proposed"),  # in which building?
        ({"address_key": "@hartwell library", "text": "Projector in room 201"},
         {"address_key": "@hartwell library", "text": "Projector in room 305"}, "proposed"),
        ({"address_key": "@hartwell library", "text": "Projector in room 201"},
         {"address_key": "@hartwell library", "text": "The projector in room 201"}, "attached"),
        ({"address_key": "@room:204", "asset_id": "P-1"}, {"address_key": "@room:305", "asset_id": "P-1"}, "attached"),
        ({"address_key": "@building:12 room:204"}, {"address_key": "@building:12 room:305"}, "new"),
    ],
)  # fmt: skip
def test_rooms_of_a_house_are_places_of_their_own(
    report: dict[str, Any], candidate: dict[str, Any], outcome: str
) -> None:
    nowhere = {"lon": None, "lat": None, "text": "the projector is dead"}
    found = judge(a_report(**nowhere | report), [a_candidate(**nowhere | candidate)], POLICY)
    assert found.outcome == outcome


def test_two_rooms_at_one_coordinate_are_proposed_at_most() -> None:
    here = a_report(address_key="@201 hartwell library rm")
    assert judge(here, [a_candidate(address_key="@305 hartwell library rm")], POLICY).outcome == "proposed"
    assert judge(here, [a_candidate(address_key="@201 hartwell library rm")], POLICY).outcome == "attached"
