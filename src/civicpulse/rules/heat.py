"""How hot an open request is on the map: the longer it waits and the higher its priority, the hotter."""

from math import log1p
from typing import Final

FORMULA: Final = "priority_weight * ln(1 + age_hours)"


def heat(priority_weight: float, age_hours: float) -> float:
    """Computes the weight of an open request. One that is created later than now (clocks differ) has no age."""
    return priority_weight * log1p(max(age_hours, 0.0))
