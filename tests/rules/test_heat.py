"""How hot an open request is, by a table."""

import math

import pytest

from civicpulse.rules.heat import heat


@pytest.mark.parametrize(
    ("priority_weight", "age_hours", "expected"),
    [(8, 0, 0), (8, -1, 0), (1, math.e - 1, 1), (2, math.e - 1, 2), (4, 1, 4 * math.log(2)), (0, 100, 0)],
)
def test_heat(priority_weight: float, age_hours: float, expected: float) -> None:
    assert heat(priority_weight, age_hours) == pytest.approx(expected)


def test_it_only_grows_with_age() -> None:
    heats = [heat(1, hours) for hours in range(0, 2000, 10)]
    assert heats == sorted(set(heats))
