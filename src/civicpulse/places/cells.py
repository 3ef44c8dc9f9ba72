"""H3 cells: a number per place, so that "near" is an index look-up."""

from collections.abc import Iterable
from math import ceil

import h3.api.basic_int as h3

CELL_RESOLUTION = 10  # edge about 76 m
# H3 cells are not all of one size; the smallest edges of this resolution are still longer than this.
SHORTEST_EDGE_M = 55.0
LOCK_RESOLUTION = 8  # edge about 530 m


def cell_of(lon: float, lat: float) -> int:
    """Finds the cell (resolution 10, a positive 63-bit number) that holds the point."""
    cell: int = h3.latlng_to_cell(lat, lon, CELL_RESOLUTION)
    return cell


def cells_around(lon: float, lat: float, radius_m: float) -> list[int]:
    """Finds cells that together cover the circle of `radius_m` metres around the point, whatever its place in its own cell."""
    # A disk of k rings reaches at least (1.5 k - 0.5) edges from any point of its middle cell.
    rings = max(1, ceil((radius_m / SHORTEST_EDGE_M + 0.5) / 1.5))
    cells: list[int] = h3.grid_disk(cell_of(lon, lat), rings)
    return cells


def lock_cells(cells: Iterable[int]) -> list[int]:
    """Gives the coarse cells touched by `cells`, sorted: whoever locks them in this order meets every rival and no deadlock."""
    return sorted({h3.cell_to_parent(cell, LOCK_RESOLUTION) for cell in cells})
