"""Assignment by named steps: who wins, who fell out where, and the sentence that says so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.assignment import AgentFacts, AssignmentPolicy, RequestFacts, assign
from civicpulse.rules.shifts import Schedule, Shift

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = Schedule("UTC", (Shift("Mon", "08:00", "16:00"),))
NIGHT = Schedule("UTC", (Shift("Mon", "22:00", "06:00"),))
REQUEST = RequestFacts("pothole", frozenset({"asphalt", "road_maintenance"}), "ZONE-DT-01", "P3")
POLICY = AssignmentPolicy("zone+skill+workload", ("zone", "skill", "availability", "lowest_load"))


def an_agent(number: int = 1, **changes: Any) -> AgentFacts:
    made = AgentFacts(
        id=UUID(int=number),
        code=f"AG-{number}",
        name=f"Crew {number}",
        skills=REQUEST.required_skills,
        zone_ids=frozenset({REQUEST.zone_id}),
        inside_geofence=False,
        schedule=DAY,
        active=True,
        open_load=0,
        last_assigned_at=None,
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "step", "detail"),
    [
        ({"active": False}, "active", "is not active"),
        ({"zone_ids": frozenset({"ZONE-2"})}, "zone", "does not cover ZONE-DT-01"),
        ({"skills": frozenset({"asphalt"})}, "skill", "lacks road maintenance"),
        ({"schedule": NIGHT}, "availability", "is off shift and not on call"),
        ({"zone_ids": frozenset(), "skills": frozenset(), "schedule": NIGHT}, "zone", "does not cover ZONE-DT-01"),
    ],
)
def test_an_agent_falls_out_at_the_first_step_that_fails(changes: dict[str, Any], step: str, detail: str) -> None:
    result = assign(REQUEST, [an_agent(**changes)], POLICY, now=MONDAY)
    assert result.winner is None
    assert [(failure.step, failure.detail) for failure in result.failures] == [(step, detail)]
    assert result.reason == f"Nobody of 1 agents: the last 1 fell out at {step} ({detail})."


@pytest.mark.parametrize(
    "changes",
    [{"zone_ids": frozenset(), "inside_geofence": True}, {"schedule": replace(NIGHT, on_call=True)}],
)
def test_geofence_stands_for_zone_and_on_call_for_shift(changes: dict[str, Any]) -> None:
    assert assign(REQUEST, [an_agent(**changes)], POLICY, now=MONDAY).winner is not None


def test_one_skill_is_enough_when_the_policy_says_so() -> None:
    policy = replace(POLICY, match_all_skills=False)
    assert assign(REQUEST, [an_agent(skills=frozenset({"asphalt"}))], policy, now=MONDAY).winner is not None
    assert assign(REQUEST, [an_agent(skills=frozenset({"water"}))], policy, now=MONDAY).winner is None
    nothing = replace(REQUEST, required_skills=frozenset())
    assert assign(nothing, [an_agent(skills=frozenset())], POLICY, now=MONDAY).winner is not None


def test_lowest_load_wins_then_who_waited_longest_then_code() -> None:
    yesterday, earlier = MONDAY - timedelta(days=1), MONDAY - timedelta(days=2)
    agents = [
        an_agent(1, open_load=2),
        an_agent(2, open_load=1, last_assigned_at=yesterday),
        an_agent(3, open_load=1, last_assigned_at=earlier),
        an_agent(4, open_load=1, last_assigned_at=yesterday),
    ]
    result = assign(REQUEST, agents, POLICY, now=MONDAY)
    assert [ranked.agent_code for ranked in result.candidates] == ["AG-3", "AG-2", "AG-4", "AG-1"]
    assert result.reason == (
        "Crew 3 (AG-3), one of 4 who could: covers ZONE-DT-01, has asphalt, road maintenance, is on shift, "
        "has the lowest open load (1), shared with 2, and waited longest."
    )


def test_who_never_had_a_request_comes_before_who_had_one() -> None:
    agents = [an_agent(1, last_assigned_at=MONDAY - timedelta(days=900)), an_agent(2)]
    winner = assign(REQUEST, agents, POLICY, now=MONDAY).winner
    assert winner is not None
    assert winner.code == "AG-2"


def test_nobody_at_all_is_said() -> None:
    assert assign(REQUEST, [], POLICY, now=MONDAY).reason == "Nobody: there are no agents."


def test_the_reason_names_the_step_at_which_the_last_fell_out() -> None:
    agents = [an_agent(1, zone_ids=frozenset()), an_agent(2, schedule=NIGHT), an_agent(3, schedule=NIGHT)]
    reason = assign(REQUEST, agents, POLICY, now=MONDAY).reason
    assert reason == "Nobody of 3 agents: the last 2 fell out at availability (is off shift and not on call)."


def test_an_unknown_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown assignment step horoscope"):
        assign(REQUEST, [], replace(POLICY, steps=("zone", "horoscope")), now=MONDAY)


facts = st.tuples(
    st.booleans(),
    st.booleans(),
    st.sets(st.sampled_from(["asphalt", "road_maintenance", "water"])),
    st.sampled_from([DAY, NIGHT]),
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(0, 3)),
)


@given(st.lists(facts, max_size=8), st.randoms(use_true_random=False))
def test_every_agent_is_a_candidate_or_has_exactly_one_failure(made: list[tuple], random: Random) -> None:
    agents = [
        an_agent(
            number,
            active=active,
            inside_geofence=inside,
            zone_ids=frozenset(),
            skills=frozenset(skills),
            schedule=schedule,
            open_load=load,
            last_assigned_at=None if days is None else MONDAY - timedelta(days=days),
        )
        for number, (active, inside, skills, schedule, load, days) in enumerate(made)
    ]
    result = assign(REQUEST, agents, POLICY, now=MONDAY)
    named = [ranked.agent_id for ranked in result.candidates] + [failure.agent_id for failure in result.failures]
    assert sorted(named) == sorted(agent.id for agent in agents)
    assert (result.winner is None) == (not result.candidates)
    if result.winner is not None:
        assert result.winner.id == result.candidates[0].agent_id
        assert result.winner.open_load == min(ranked.open_load for ranked in result.candidates)
    random.shuffle(agents)
    assert assign(REQUEST, agents, POLICY, now=MONDAY) == result
