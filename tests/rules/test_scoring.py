"""Scores, trends and ranks (R-KPI-05)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.scoring import Figures, Trend, Weights, measure, ranks, score, speed_of, trend

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
USUAL = Weights()
shares = st.floats(0, 1)
weights = shares.map(lambda compliance: Weights(compliance, 1 - compliance))
hours = st.floats(0, 10_000)


@pytest.mark.parametrize(
    ("compliance", "speed", "given", "expected"),
    [
        (1, 1, USUAL, 100),
        (0, 0, USUAL, 0),
        (1, 0, USUAL, 70),
        (0, 1, USUAL, 30),
        (0.9, 0.5, USUAL, 78),
        (0.9, 0.5, Weights(0.5, 0.5), 70),
        (2 / 3, 1 / 3, USUAL, 56.67),
        (None, 0.5, USUAL, None),
        (0.5, None, USUAL, None),
        (None, None, USUAL, None),
        (0.8, None, Weights(1, 0), 80),
        (None, 0.4, Weights(0, 1), 40),
    ],
)
def test_a_score_is_the_weighted_sum_of_its_parts(compliance, speed, given, expected) -> None:
    assert score(compliance, speed, given) == expected


@given(shares, shares, weights)
def test_a_score_lies_between_0_and_100_and_between_its_parts(compliance: float, speed: float, given: Weights) -> None:
    found = score(compliance, speed, given)
    assert found is not None
    assert 0 <= found <= 100
    assert 100 * min(compliance, speed) - 0.01 <= found <= 100 * max(compliance, speed) + 0.01


def sure(found: float | None) -> float:
    assert found is not None
    return found


@given(shares, shares, shares, weights)
def test_more_compliance_or_speed_never_lowers_a_score(one: float, other: float, fixed: float, given: Weights) -> None:
    low, high = sorted((one, other))
    assert sure(score(low, fixed, given)) <= sure(score(high, fixed, given))
    assert sure(score(fixed, low, given)) <= sure(score(fixed, high, given))


@given(shares, shares, shares, shares)
def test_weight_moves_a_score_towards_the_part_that_has_it(one: float, two: float, low: float, high: float) -> None:
    low, high = sorted((low, high))
    less, more = (sure(score(one, two, Weights(part, 1 - part))) for part in (low, high))
    assert (more - less) * (one - two) >= -0.02


@pytest.mark.parametrize(
    ("resolution", "target", "expected"),
    [(0, 24, 1), (6, 24, 0.75), (24, 24, 0), (25, 24, 0), (500, 24, 0), (-3, 24, 1), (1, 0, 0), (0, 0, 0), (1, -5, 0)],
)
def test_speed_is_what_was_left_of_the_target(resolution: float, target: float, expected: float) -> None:
    assert speed_of(resolution, target) == pytest.approx(expected)


@given(hours, hours, hours)
def test_speed_is_a_share_and_falls_with_time(one: float, other: float, target: float) -> None:
    early, late = sorted((one, other))
    assert 0 <= speed_of(late, target) <= speed_of(early, target) <= 1


def test_figures_of_nothing_have_no_shares() -> None:
    nothing = Figures()
    assert (nothing.compliance, nothing.speed, nothing.average_hours) == (None, None, None)
    assert score(nothing.compliance, nothing.speed, USUAL) is None


@given(st.lists(st.tuples(st.booleans(), hours, st.floats(0.1, 1000)), min_size=1, max_size=20), st.integers(0, 20))
def test_figures_add_up_in_any_split(rows: list[tuple[bool, float, float]], cut: int) -> None:
    def figures(some: list[tuple[bool, float, float]]) -> Figures:
        met = sum(row[0] for row in some)
        speeds = sum(speed_of(row[1], row[2]) for row in some)
        return Figures(len(some), met, len(some) - met, sum(row[1] for row in some), speeds, len(some))

    whole, added = figures(rows), figures(rows[:cut]) + figures(rows[cut:])
    assert (added.resolved, added.met, added.missed) == (whole.resolved, whole.met, whole.missed)
    assert (added.hours, added.speed) == pytest.approx((whole.hours, whole.speed))
    assert 0 <= sure(added.compliance) <= 1


@pytest.mark.parametrize(
    ("took", "threshold", "verdict", "expected"),
    [
        (5, 24, True, (5, 24, True, "clock")),
        (300, 80, True, (300, 80, True, "clock")),  # 80 working hours, or pauses
        (5, 24, False, (5, 24, False, "clock")),
        (24, 24, None, (24, 24, True, "comparison")),
        (24.001, 24, None, (24.001, 24, False, "comparison")),
        (5, None, None, (5, None, None, "none")),
        (5, None, False, (5, None, False, "clock")),
    ],
)
def test_a_requests_own_verdict_wins_over_plain_hours(took, threshold, verdict, expected) -> None:
    found = measure(
        created_at=NOON, resolved_at=NOON + timedelta(hours=took), threshold_hours=threshold, verdict=verdict
    )
    assert (found.resolution_hours, found.threshold_hours, found.met, found.judged_by) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        (80, 75.5, Trend(75.5, 4.5, "up")),
        (70, 75, Trend(75, -5, "down")),
        (70, 70, Trend(70, 0, "flat")),
        (None, 70, Trend(70, None, None)),
        (70, None, Trend(None, None, None)),
    ],
)
def test_a_trend_is_a_difference_in_points(now, before, expected) -> None:
    assert trend(now, before) == expected


def test_equal_scores_share_a_rank_and_the_next_counts_them() -> None:
    assert ranks({"a": 70, "b": 90, "c": 70, "d": None, "e": 10, "f": 90}) == {"b": 1, "f": 1, "a": 3, "c": 3, "e": 5}
    assert ranks({}) == ranks({"a": None}) == {}


@given(st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.integers(0, 5).map(float)), max_size=12))
def test_a_rank_is_one_more_than_those_above(scores: dict[str, float | None]) -> None:
    found = ranks(scores)
    assert found.keys() == {name for name, value in scores.items() if value is not None}
    for name, rank in found.items():
        assert rank == 1 + sum(value > sure(scores[name]) for value in scores.values() if value is not None)
