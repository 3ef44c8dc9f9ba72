"""`civicpulse quality duplicates`: the duplicate rule judged on a city's own history and its staff's flags."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from civicpulse.evaluation.figures import Counts, Figures, judge_attached, judge_links, judge_offered
from civicpulse.evaluation.history import History, Past, Truth, read_history, read_labels, truth_of
from civicpulse.evaluation.replay import Change, Decision, replay, with_reach
from civicpulse.imports.mapping import read_mapping
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import Pack, compile_pack
from civicpulse.places.cells import cells_around
from civicpulse.rules.duplicates import distance_m

# From strict to loose: the pack's rule with the distance and time of attaching multiplied, ...
REACHES: Final = (0.02, 0.1, 0.25, 0.5, 1.0)
# ... then different addresses attached as well, then every kind that the pack only proposes, ...
NEIGHBOURS: Final = (2.0, 4.0)
KINDS: Final = (8.0, 64.0)
# ... then kinds that repeat lawfully, at one doorstep within the hour, in twice the time; and what is proposed even so.
DOORSTEP: Final = {"dedupe": True, "radius_m": 10.0, "window_hours": 1.0}
# What any city could write in an afternoon: same type, earlier, still open, within metres and hours.
BASELINES: Final = ((25.0, 24.0), (50.0, 168.0), (100.0, 336.0))


@dataclass(frozen=True, slots=True)
class Rung:
    """A point of the curve: the rule made stricter or looser, and what came of it. "1" is the pack as it stands."""

    reach: str
    figures: Figures

    def to_json(self) -> dict[str, Any]:
        """Writes reach, precision, recall, recall_gold, count."""
        return {"reach": self.reach} | self.figures.to_json()


@dataclass(frozen=True, slots=True)
class Baseline:
    """A plain rule, and the precision of our curve at the same recall of gold pairs (None: it does not reach so far)."""

    metres: float
    hours: float
    figures: Figures
    ours: float | None

    def to_json(self) -> dict[str, Any]:
        """Writes metres, hours, precision, recall, recall_gold, count, our_precision."""
        return {"metres": self.metres, "hours": self.hours} | self.figures.to_json() | {"our_precision": self.ours}


@dataclass(frozen=True, slots=True)
class Wrong:
    """An attachment that the labels do not know; for a person to judge."""

    request: Past
    master: Past
    metres: float
    hours: float

    def to_json(self) -> dict[str, Any]:
        """Writes both numbers, types, channels and addresses, the distance and the time between them."""
        ends = {
            f"{end}_{name}": getattr(past, name)
            for end, past in (("request", self.request), ("master", self.master))
            for name in ("number", "kind", "channel", "address")
        }
        return {
            "category": self.request.category,
            "metres": round(self.metres, 1),
            "hours": round(self.hours, 2),
        } | ends


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of one history; `rows` requests were judged."""

    rows: int
    attached: Figures
    offered: Figures
    curve: tuple[Rung, ...]
    baselines: tuple[Baseline, ...]
    labels: dict[str, int]
    left_out: dict[str, int]
    wrong: tuple[Wrong, ...]

    def to_json(self) -> dict[str, Any]:
        """Writes the keys attached, attached_or_proposed, curve, baselines, rows, labels, left_out, and wrong when it was asked for."""
        found = {
            "rows": self.rows,
            "attached": self.attached.to_json(),
            "attached_or_proposed": self.offered.to_json(),
            "curve": [rung.to_json() for rung in self.curve],
            "baselines": [baseline.to_json() for baseline in self.baselines],
            "labels": self.labels,
            "left_out": self.left_out,
        }
        return found | ({"wrong": [wrong.to_json() for wrong in self.wrong]} if self.wrong else {})


def judge_duplicates(
    requests: Path,
    labels: Path,
    *,
    mapping: str,
    pack: str = "civic",
    since: date | None = None,
    until: date | None = None,
    wrong: int = 0,
) -> Outcome:
    """Replays the file and counts. Raises QualityError, Invalid, MappingError or PackError for what cannot be used.

    Requests created from `since` on and before `until` (days of the city) are judged; those before them are replayed
    too, as masters stay open across the border. `wrong` attachments that the labels do not know are listed.
    """
    by, rules = read_mapping(mapping), compile_pack(read_pack(pack))
    history = read_history(requests, by, rules)
    truth = truth_of(history, read_labels(labels, by.columns.external_id))
    zone = ZoneInfo(by.timezone)
    first = datetime.min.replace(tzinfo=UTC) if since is None else datetime.combine(since, time(), zone)
    last = datetime.max.replace(tzinfo=UTC) if until is None else datetime.combine(until, time(), zone)

    def counts(place: int) -> bool:
        return first <= history.requests[place].at < last

    decisions = replay(history.requests, rules)
    curve = tuple(_curve(history, rules, truth, counts))
    pairs = [pair for pair in truth.pairs if counts(pair.later)]
    return Outcome(
        rows=sum(map(counts, range(len(history.requests)))),
        attached=judge_attached(decisions, truth, counts),
        offered=judge_offered(decisions, truth, counts),
        curve=curve,
        baselines=tuple(_baselines(history, truth, counts, curve)),
        labels={
            "flagged": sum(map(counts, truth.flagged)),
            "pairs": len(pairs),
            "gold_pairs": sum(pair.is_gold for pair in pairs),
        },
        left_out=dict(history.skipped),
        wrong=tuple(_wrong(history, decisions, truth, counts, limit=wrong)),
    )


def _curve(history: History, pack: Pack, truth: Truth, counts: Counts) -> Iterator[Rung]:
    """Makes the rungs from strict to loose; each is a replay of its own, but the last, which adds what the one before proposed."""
    every_kind = partial(with_reach, neighbours=True, attach=True)
    steps: list[tuple[str, Change]] = [
        *((f"{reach:g}", partial(with_reach, reach=reach)) for reach in REACHES),
        *((f"{reach:g}, neighbours", partial(with_reach, reach=reach, neighbours=True)) for reach in NEIGHBOURS),
        *((f"{reach:g}, every kind", partial(every_kind, reach=reach)) for reach in KINDS),
    ]
    for name, change in steps:
        yield Rung(name, judge_attached(replay(history.requests, pack, change), truth, counts))
    loosest = replay(history.requests, _with_doorsteps(pack), partial(every_kind, reach=KINDS[-1], windows=2.0))
    yield Rung("same doorstep", judge_attached(loosest, truth, counts))
    yield Rung("and proposals", judge_offered(loosest, truth, counts))


def _with_doorsteps(pack: Pack) -> Pack:
    kinds = pack.document.categories
    categories = tuple(kind if kind.dedupe else kind.model_copy(update=DOORSTEP) for kind in kinds)
    return compile_pack(pack.document.model_copy(update={"categories": categories}))


def precision_at(curve: Sequence[Rung], recall_gold: float) -> float | None:
    """Reads the precision of the curve at that recall of gold pairs, between two rungs on the line; None beyond the last."""
    before: tuple[float, float] | None = None
    for recall, precision in _frontier(curve):
        if recall >= recall_gold:
            if before is None or recall == before[0]:
                return precision
            part = (recall_gold - before[0]) / (recall - before[0])
            return before[1] + part * (precision - before[1])
        before = (recall, precision)
    return None


def _frontier(curve: Sequence[Rung]) -> list[tuple[float, float]]:
    """Finds recall and precision of the rungs that no other beats in both, by rising recall."""
    kept: list[tuple[float, float]] = []
    for recall, precision in sorted(
        ((rung.figures.recall_gold, rung.figures.precision) for rung in curve), reverse=True
    ):
        if not kept or precision > kept[-1][1]:
            kept.append((recall, precision))
    return kept[::-1]


def _baselines(history: History, truth: Truth, counts: Counts, curve: Sequence[Rung]) -> Iterator[Baseline]:
    for metres, hours in BASELINES:
        links = _plain_links(history.requests, metres, hours)
        figures = judge_links(links, len(history.requests), truth, counts)
        yield Baseline(metres, hours, figures, precision_at(curve, figures.recall_gold))


def _plain_links(requests: Sequence[Past], metres: float, hours: float) -> Iterator[tuple[int, int]]:
    """Links each request with the nearest earlier one of its type (the newest of equals) that is still open, if there is one."""
    before: dict[tuple[str, int], list[int]] = defaultdict(list)
    for place, past in enumerate(requests):
        near = []
        for cell in cells_around(past.lon, past.lat, metres):
            for earlier in reversed(before.get((past.kind, cell), ())):
                other = requests[earlier]
                if past.at - other.at > timedelta(hours=hours):
                    break
                away = distance_m(past.lon, past.lat, other.lon, other.lat)
                if away <= metres and (other.closed_at is None or other.closed_at > past.at):
                    near.append((away, -earlier))
        if near:
            yield place, -min(near)[1]
        before[past.kind, past.cell].append(place)


def _wrong(
    history: History, decisions: Sequence[Decision], truth: Truth, counts: Counts, *, limit: int
) -> Iterator[Wrong]:
    """Picks wrong pairs, up to `limit`, spread evenly over the period."""
    found = [
        place
        for place, decision in enumerate(decisions)
        if decision.master is not None and counts(place) and place not in truth.flagged
    ]
    step = max(1.0, len(found) / limit) if limit else 0.0
    for index in range(min(limit, len(found))):
        place = found[int(index * step)]
        decision = decisions[place]
        if decision.master is not None and decision.match is not None:
            score = decision.match.score
            yield Wrong(
                history.requests[place], history.requests[decision.master], score.distance_m or 0.0, score.hours
            )
