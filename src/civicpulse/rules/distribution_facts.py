"""What a distribution of tickets is decided from and what it answers: facts, policy, state and decisions (R-ASG-05)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """What of a ticket decides; `priority` 1..10, `country` an ISO code or None, `quality` of the place as geocoded."""

    id: UUID
    category: str
    priority: int
    segment: str | None = None
    language: str | None = None
    lon: float | None = None
    lat: float | None = None
    country: str | None = None
    quality: str = "town"


@dataclass(frozen=True, slots=True)
class ManagerFacts:
    """A manager and the number of tickets already in work, at the start of the call."""

    id: UUID
    name: str
    office_id: UUID
    position: str | None = None
    skills: frozenset[str] = frozenset()
    load: int = 0


@dataclass(frozen=True, slots=True)
class OfficeFacts:
    """An office; one that could not be placed (None) is nobody's nearest and comes last as a next office."""

    id: UUID
    name: str
    lon: float | None = None
    lat: float | None = None


@dataclass(frozen=True, slots=True)
class EligibilityRule:
    """Tickets whose `field` is among `values` go only to managers with `skill`, or in one of `positions`."""

    name: str
    field: Literal["segment", "category", "language"]
    values: frozenset[str]
    skill: str | None = None
    positions: frozenset[str] = frozenset()

    def binds(self, ticket: TicketFacts) -> bool:
        """Tells whether the ticket falls under this rule."""
        return getattr(ticket, self.field) in self.values

    def admits(self, manager: ManagerFacts) -> bool:
        """Tells whether the manager fulfils it."""
        return (self.skill is None or self.skill in manager.skills) and (
            not self.positions or manager.position in self.positions
        )


@dataclass(frozen=True, slots=True)
class DistributionPolicy:
    """The pack's cascade. `split` shares addresses that are unknown or abroad among offices by name, such as 1 : 1."""

    name: str = "distribution"
    home_country: str | None = None
    split: Mapping[str, int] = field(default_factory=dict)
    least_quality: str = "region"
    rules: tuple[EligibilityRule, ...] = ()
    in_turn: int = 2
    next_office: bool = True
    unassigned: frozenset[str] = frozenset()
    language: str = "en"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DistributionState:
    """Whose turn it is: the number of turns taken so far, each manager's last turn, the credit of each split office."""

    turn: int = 0
    last_turns: Mapping[UUID, int] = field(default_factory=dict)
    credits: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Writes the state as it is stored."""
        return {
            "turn": self.turn,
            "last_turns": {str(key): turn for key, turn in self.last_turns.items()},
            "credits": dict(self.credits),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> "DistributionState":
        """Reads what `to_json` made; None is the beginning."""
        if not stored:
            return cls()
        last = {UUID(key): turn for key, turn in stored["last_turns"].items()}
        return cls(stored["turn"], last, dict(stored["credits"]))


@dataclass(frozen=True, slots=True)
class DecisionStep:
    """One step of the cascade: its name, a machine word for what came out, and the facts."""

    step: str
    outcome: str
    detail: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Writes the step as it is stored and served."""
        return {"step": self.step, "outcome": self.outcome, "detail": dict(self.detail)}


@dataclass(frozen=True, slots=True)
class Failure:
    """A manager of the first office who may not take the ticket, and the rule that says so."""

    manager_id: UUID
    name: str
    rule: str
    lacks: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """What became of one ticket. `office_id` is where it went, `primary_office_id` where the address pointed.

    `reason` is one sentence in the policy's language; without a manager it says why. `candidates` are the managers
    between whom the turn decided, as (id, name, load before), `failures` those of the first office who may not.
    """

    ticket_id: UUID
    primary_office_id: UUID | None
    office_id: UUID | None
    manager_id: UUID | None
    reason: str
    steps: tuple[DecisionStep, ...]
    candidates: tuple[tuple[UUID, str, int], ...] = ()
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Distributed:
    """Decisions in the order they were taken (priority first), the state for the next call, and every manager's load."""

    decisions: tuple[Distribution, ...]
    state: DistributionState
    loads: Mapping[UUID, int]

    def __iter__(self) -> Iterator[Distribution]:
        return iter(self.decisions)

    def __len__(self) -> int:
        return len(self.decisions)
