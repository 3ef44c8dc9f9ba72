"""Who takes a request: a pipeline of named steps that can say why each agent was chosen or fell out.

Zone or geofence, skills, availability, lowest workload (R-ASG-01). A pack names its steps in
order. A filter says for each agent why not; an order ranks who is left. A further rule is one more line in `STEPS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from civicpulse.rules.shifts import Schedule, is_available, is_on_shift
from civicpulse.rules.words.saying import readable


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What is known of an agent at this moment; `open_load` counts open requests, times are aware."""

    id: UUID
    code: str
    name: str
    skills: frozenset[str]
    zone_ids: frozenset[str]
    inside_geofence: bool
    schedule: Schedule
    active: bool
    open_load: int
    last_assigned_at: datetime | None


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What of a request decides who may take it."""

    category: str
    required_skills: frozenset[str]
    zone_id: str
    priority: str


@dataclass(frozen=True, slots=True)
class AssignmentPolicy:
    """The pack's steps in order; `match_all_skills` False means that one of the required skills is enough."""

    name: str
    steps: tuple[str, ...]
    match_all_skills: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """The first step at which an agent fell out."""

    agent_id: UUID
    agent_code: str
    step: str
    detail: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """An agent who passed every step."""

    agent_id: UUID
    agent_code: str
    open_load: int
    detail: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """Every agent is either in `candidates` (best first) or in `failures`; `reason` is a sentence for people."""

    winner: AgentFacts | None
    candidates: tuple[Ranked, ...]
    failures: tuple[Failure, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a step may look at besides the agent."""

    request: RequestFacts
    policy: AssignmentPolicy
    now: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """`refuse` answers why the agent may not, or None; `passed` says in the reason what the winner fulfilled."""

    refuse: Callable[[AgentFacts, Question], str | None]
    passed: Callable[[AgentFacts, Question], str]


@dataclass(frozen=True, slots=True)
class Order:
    """Ranks those who are left, the smallest key first; `because` says in the reason why the first one is first."""

    key: Callable[[AgentFacts], tuple[int | float, ...]]
    because: Callable[[AgentFacts, Sequence[AgentFacts]], str]


def _refuse_inactive(agent: AgentFacts, _: Question) -> str | None:
    return None if agent.active else "is not active"


def _refuse_zone(agent: AgentFacts, question: Question) -> str | None:
    if question.request.zone_id in agent.zone_ids or agent.inside_geofence:
        return None
    return f"does not cover {question.request.zone_id}"


def _passed_zone(agent: AgentFacts, question: Question) -> str:
    covered = question.request.zone_id in agent.zone_ids
    return f"covers {question.request.zone_id}" if covered else "has the place inside the geofence"


def _refuse_skill(agent: AgentFacts, question: Question) -> str | None:
    required = question.request.required_skills
    missing = required - agent.skills
    if not missing or (not question.policy.match_all_skills and missing != required):
        return None
    return f"lacks {', '.join(map(readable, sorted(missing)))}"


def _passed_skill(agent: AgentFacts, question: Question) -> str:
    held = question.request.required_skills & agent.skills
    return f"has {', '.join(map(readable, sorted(held)))}" if held else "needs no special skill"


def _refuse_absent(agent: AgentFacts, question: Question) -> str | None:
    return None if is_available(agent.schedule, question.now) else "is off shift and not on call"


def _passed_availability(agent: AgentFacts, question: Question) -> str:
    return "is on shift" if is_on_shift(agent.schedule, question.now) else "is on call"


def _load_key(agent: AgentFacts) -> tuple[int | float, ...]:
    return agent.open_load, _last_assigned(agent)


def _because_of_load(winner: AgentFacts, ranked: Sequence[AgentFacts]) -> str:
    load = f"has the lowest open load ({winner.open_load})"
    tied = [agent for agent in ranked[1:] if agent.open_load == winner.open_load]
    if not tied:
        return load
    older = all(_last_assigned(winner) < _last_assigned(agent) for agent in tied)
    return f"{load}, shared with {len(tied)}, and {'waited longest' if older else 'comes first by code'}"


STEPS: Mapping[str, Filter | Order] = {
    "zone": Filter(_refuse_zone, _passed_zone),
    "skill": Filter(_refuse_skill, _passed_skill),
    "availability": Filter(_refuse_absent, _passed_availability),
    "lowest_load": Order(_load_key, _because_of_load),
}
# Whatever a pack says, work never goes to someone who has left.
_ACTIVE = ("active", Filter(_refuse_inactive, lambda _agent, _question: ""))


def assign(
    request: RequestFacts, agents: Sequence[AgentFacts], policy: AssignmentPolicy, *, now: datetime
) -> Assignment:
    """Chooses the agent for a request: lowest open load, ties by least recently assigned, then by code.

    The order of `agents` does not matter. Nobody left: `winner` is None and `reason` names the step at which the last
    ones fell out. An unknown step name: ValueError.
    """
    unknown = [name for name in policy.steps if name not in STEPS]
    if unknown:
        raise ValueError(f"unknown assignment step {', '.join(unknown)}: one of {', '.join(STEPS)}")
    question = Question(request, policy, now)
    left, failures = sorted(agents, key=lambda agent: (agent.code, agent.id)), list[Failure]()
    for name, step in (_ACTIVE, *((name, STEPS[name]) for name in policy.steps)):
        if isinstance(step, Filter):
            left, fallen = _apply(left, question, name=name, step=step)
            failures += fallen
        else:
            left = sorted(left, key=step.key)
    if not left:
        return Assignment(None, (), tuple(failures), _why_nobody(failures))
    ranked = tuple(Ranked(agent.id, agent.code, agent.open_load, _detail(agent)) for agent in left)
    return Assignment(left[0], ranked, tuple(failures), _why_winner(left, question))


def _apply(
    agents: Sequence[AgentFacts], question: Question, *, name: str, step: Filter
) -> tuple[list[AgentFacts], list[Failure]]:
    left, fallen = list[AgentFacts](), list[Failure]()
    for agent in agents:
        refusal = step.refuse(agent, question)
        if refusal is None:
            left.append(agent)
        else:
            fallen.append(Failure(agent.id, agent.code, name, refusal))
    return left, fallen


def _why_winner(ranked: Sequence[AgentFacts], question: Question) -> str:
    winner, facts = ranked[0], list[str]()
    for name in question.policy.steps:
        step = STEPS[name]
        facts.append(step.passed(winner, question) if isinstance(step, Filter) else step.because(winner, ranked))
    said = ", ".join(facts) or "comes first by code"
    return f"{winner.name} ({winner.code}), one of {len(ranked)} who could: {said}."


def _why_nobody(failures: Sequence[Failure]) -> str:
    if not failures:
        return "Nobody: there are no agents."
    last = failures[-1].step
    fallen = [failure for failure in failures if failure.step == last]
    details = sorted({failure.detail for failure in fallen})
    shown = "; ".join(details[:3]) + ("; and others" if len(details) > 3 else "")
    return f"Nobody of {len(failures)} agents: the last {len(fallen)} fell out at {last} ({shown})."


def _detail(agent: AgentFacts) -> str:
    if agent.last_assigned_at is None:
        return f"open load {agent.open_load}, never assigned"
    return f"open load {agent.open_load}, last assigned {agent.last_assigned_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _last_assigned(agent: AgentFacts) -> float:
    """Counts seconds since the epoch; whoever never had a request comes before everybody else."""
    return -float("inf") if agent.last_assigned_at is None else agent.last_assigned_at.timestamp()
