"""Numbers as people write them."""

import math
import re
from typing import Final

_PLAIN: Final = re.compile(r"[+-]?([0-9]{1,40}([.,][0-9]{0,40})?|[.,][0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
_BY_COMMA: Final = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3}){1,12}(\.[0-9]{0,40})?")
_BY_POINT: Final = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{3}){1,12}(,[0-9]{0,40})?")
_BLANKS: Final = str.maketrans({" ": None, "\u00a0": None, "\u202f": None, "\u2009": None, "\u2212": "-"})


def read_number(text: str) -> float | None:
    """Reads a number with a decimal point or comma, thousands apart or not: 1200.5, 1200,5, 1 200,5, 1.200,5. None for anything else.

    A lone comma or point is a decimal one.
    """
    plain = text.strip().translate(_BLANKS)
    if _PLAIN.fullmatch(plain):
        plain = plain.replace(",", ".")
    elif _BY_COMMA.fullmatch(plain):
        plain = plain.replace(",", "")
    elif _BY_POINT.fullmatch(plain):
        plain = plain.replace(".", "").replace(",", ".")
    else:
        return None
    number = float(plain)
    return number if math.isfinite(number) else None
