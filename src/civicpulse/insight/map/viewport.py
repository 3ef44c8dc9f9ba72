"""A box on the map as spans of cells, so that a feed of a small box reads that box and not the whole city."""

from functools import lru_cache
from itertools import pairwise
from typing import Final

import h3.api.basic_int as h3

from civicpulse.places.cells import CELL_RESOLUTION
from civicpulse.requests.filters import Box, longitudes

# Coarser than this, or wider, the spans would cost more than they save.
COARSEST: Final = 4
WIDEST_DEGREES: Final = 4.0
MAX_CELLS: Final = 100
KM_PER_DEGREE: Final = 111.2

Span = tuple[int, int]


def _descendants(cell: int, resolution: int) -> Span:
    """Finds the lowest and highest cell of requests.cell's resolution inside `cell`: an H3 index sorts by place."""
    below = 3 * (15 - resolution)
    unused = (1 << (3 * (15 - CELL_RESOLUTION))) - 1  # digits finer than our cells are all ones
    prefix = (cell & ~(0xF << 52)) | (CELL_RESOLUTION << 52)
    low = (prefix >> below << below) | unused
    return low, low | ((1 << below) - 1)


def _covering(box: Box, resolution: int) -> set[int]:
    west, south, east, north = box
    shape = h3.LatLngPoly([(south, west), (south, east), (north, east), (north, west)])
    inside = set(h3.h3shape_to_cells_experimental(shape, resolution, contain="overlap"))
    corners = {h3.latlng_to_cell(lat, lon, resolution) for lat in (south, north) for lon in (west, east)}
    # One ring more: a cell's children reach a little beyond it.
    return {near for cell in inside | corners for near in h3.grid_disk(cell, 1)}


def _cells_around(box: Box, resolution: int) -> float:
    """Estimates how many cells the covering of the box takes, its margin included; rather too many than too few."""
    west, south, east, north = box
    margin = 4 * float(h3.average_hexagon_edge_length(resolution))
    width, height = (east - west) * KM_PER_DEGREE + margin, (north - south) * KM_PER_DEGREE + margin
    return width * height / float(h3.average_hexagon_area(resolution))


@lru_cache(maxsize=256)
def cell_spans(box: Box) -> list[Span] | None:
    """Finds disjoint, sorted spans (both ends included) that hold every request in the box; None for a box too large for it."""
    _, south, _, north = box
    boxes = [(west, south, east, north) for west, east in longitudes(box)]
    if sum(east - west for west, _, east, _ in boxes) > WIDEST_DEGREES or north - south > WIDEST_DEGREES:
        return None
    if max(abs(south), abs(north)) > 85:
        return None
    fitting = [
        level
        for level in range(COARSEST, CELL_RESOLUTION)
        if sum(_cells_around(one, level) for one in boxes) <= MAX_CELLS
    ]
    if not fitting:
        return None
    cells = {cell for one in boxes for cell in _covering(one, fitting[-1])}
    spans = sorted(_descendants(cell, fitting[-1]) for cell in cells)
    merged = [spans[0]]
    for (_, end), (low, high) in pairwise(spans):
        if low - end == 1 << (3 * (15 - CELL_RESOLUTION)):
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged
