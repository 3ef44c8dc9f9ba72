"""Precision and recall of a replay against the labels. Pure: decisions and labels in, figures out.

Pairs are unordered. `recall_gold` is the share of gold pairs whose two ends landed in one cluster (of proposals: or
were offered to staff); `recall` the same of all labelled pairs whose two ends are in the file; `precision` the share
of the attached requests (of proposals: attached or proposed) that are an end of a labelled pair. People do not flag
every duplicate, so precision is a lower bound.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from civicpulse.evaluation.history import Pair, Truth
from civicpulse.evaluation.replay import Decision

Counts = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares 0..1, 0 where there is nothing to divide by; `count` requests were attached (or proposed)."""

    precision: float
    recall: float
    recall_gold: float
    count: int

    def to_json(self) -> dict[str, Any]:
        """Writes precision, recall, recall_gold and count."""
        return asdict(self)


def judge_attached(decisions: Sequence[Decision], truth: Truth, counts: Counts) -> Figures:
    """Judges what was attached at once. `counts` says which positions are judged; a pair by its later end."""
    cluster = _clusters(decisions)
    attached = [place for place, decision in enumerate(decisions) if decision.master is not None and counts(place)]
    return _figures(attached, truth, counts, lambda pair: cluster[pair.earlier] == cluster[pair.later])


def judge_offered(decisions: Sequence[Decision], truth: Truth, counts: Counts) -> Figures:
    """Judges what was attached at once or shown to staff: the cluster of one end was offered to the other."""
    cluster = _clusters(decisions)
    named = [place for place, decision in enumerate(decisions) if decision.outcome != "new" and counts(place)]

    def offered(pair: Pair) -> bool:
        return (
            cluster[pair.earlier] == cluster[pair.later]
            or cluster[pair.earlier] in decisions[pair.later].proposed
            or cluster[pair.later] in decisions[pair.earlier].proposed
        )

    return _figures(named, truth, counts, offered)


def judge_links(links: Iterable[tuple[int, int]], size: int, truth: Truth, counts: Counts) -> Figures:
    """Judges a plain rule that links each request with an earlier one."""
    root = list(range(size))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = place = root[root[place]]
        return place

    linked = []
    for place, earlier in links:
        root[find(place)] = find(earlier)
        if counts(place):
            linked.append(place)
    return _figures(linked, truth, counts, lambda pair: find(pair.earlier) == find(pair.later))


def _clusters(decisions: Sequence[Decision]) -> list[int]:
    return [place if decision.master is None else decision.master for place, decision in enumerate(decisions)]


def _figures(named: Sequence[int], truth: Truth, counts: Counts, together: Callable[[Pair], bool]) -> Figures:
    judged = [pair for pair in truth.pairs if counts(pair.later)]
    gold = [pair for pair in judged if pair.is_gold]
    return Figures(
        precision=_share(sum(place in truth.flagged for place in named), len(named)),
        recall=_share(sum(map(together, judged)), len(judged)),
        recall_gold=_share(sum(map(together, gold)), len(gold)),
        count=len(named),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
