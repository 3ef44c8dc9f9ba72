"""What entering a state does, by tables and by properties."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.lifecycle import (
    ENDED,
    OPEN_WORK,
    STAGE_TIMES,
    STATE_COLUMNS,
    Reopening,
    Standing,
    conditions_of,
    enter,
    follow,
    is_ended,
    stands_resolved,
)
from civicpulse.rules.sla import Pause
from civicpulse.rules.workflow import State

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
CATEGORIES = (*OPEN_WORK, *ENDED)


def standing(category: str, **facts: Any) -> Standing:
    return Standing(
        category=category,
        resolved_at=facts.get("resolved_at"),
        closed_at=facts.get("closed_at"),
        pauses=facts.get("pauses", ()),
        milestones=facts.get("milestones", {}),
    )


@pytest.mark.parametrize("category", CATEGORIES)
def test_open_and_ended_are_each_others_opposite(category: str) -> None:
    assert is_ended(category) is (category not in OPEN_WORK)


@pytest.mark.parametrize(
    ("changes", "stands"),
    [
        ({}, True),
        ({"state_category": "closed"}, True),
        ({"resolved_at": START}, True),
        ({"master_id": "another"}, False),
        ({"state_category": "open"}, False),
        ({"state_category": "waiting"}, False),
        ({"resolved_at": None}, False),
        ({"resolved_at": START - HOUR}, False),
    ],
)
def test_a_resolution_stands_where_the_time_it_took_is_known(changes: dict[str, Any], stands: bool) -> None:
    row = {"master_id": None, "state_category": "resolved", "created_at": START, "resolved_at": START + HOUR}
    assert stands_resolved(row | changes) is stands


@pytest.mark.parametrize("timestamp", STAGE_TIMES)
def test_a_state_notes_its_stage(timestamp: str) -> None:
    columns = enter(standing("open"), State("anything", "open", timestamp), START)
    assert columns == {"status": "anything", "state_category": "open", timestamp: START}


@pytest.mark.parametrize("timestamp", [None, "created_at", "updated_at"])
def test_no_state_changes_when_a_request_was_created(timestamp: str | None) -> None:
    columns = enter(standing("open"), State("back", "open", timestamp), START)
    assert columns == {"status": "back", "state_category": "open"}


def test_waiting_stops_the_clock_and_leaving_it_starts_the_clock_again() -> None:
    waiting = enter(standing("open"), State("parts", "waiting"), START)
    assert waiting["sla_pauses"] == (Pause(START),)
    again = enter(standing("waiting", pauses=waiting["sla_pauses"]), State("work", "open"), START + HOUR)
    assert again["sla_pauses"] == (Pause(START, START + HOUR),)


def test_from_one_waiting_state_to_another_is_one_pause() -> None:
    columns = enter(standing("waiting", pauses=(Pause(START),)), State("weather", "waiting"), START + HOUR)
    assert "sla_pauses" not in columns


@pytest.mark.parametrize(
    ("reopening", "pauses"), [("counts", {}), ("pauses", {"sla_pauses": (Pause(START, START + 3 * HOUR),)})]
)
def test_opened_again_it_has_no_end_and_the_pack_says_whether_the_time_it_lay_ended_counts(
    reopening: Reopening, pauses: dict[str, Any]
) -> None:
    ended = standing(
        "closed",
        resolved_at=START,
        closed_at=START + HOUR,
        milestones={"arrived": "t", "repaired": "t"},
    )
    work = State("work", "open", "in_progress_at")
    columns = enter(ended, work, START + 3 * HOUR, ending_milestones=["repaired"], reopening=reopening)
    assert columns == pauses | {
        "status": "work",
        "state_category": "open",
        "in_progress_at": START + 3 * HOUR,
        "resolved_at": None,
        "closed_at": None,
        "milestones": {"arrived": "t"},
        "disputed": False,
    }


def test_opened_again_into_a_waiting_state_both_pauses_count() -> None:
    columns = enter(
        standing("resolved", resolved_at=START), State("parts", "waiting"), START + HOUR, reopening="pauses"
    )
    assert columns["sla_pauses"] == (Pause(START, START + HOUR), Pause(START + HOUR))


@given(st.lists(st.sampled_from(CATEGORIES), max_size=12))
def test_the_clock_stands_still_exactly_while_a_request_waits(path: list[str]) -> None:
    now = standing("open")
    for step, category in enumerate(path, 1):
        columns = enter(now, State(f"s{step}", category), START + step * HOUR)  # type: ignore[arg-type]
        pauses = columns.get("sla_pauses", now.pauses)
        assert sum(pause.end is None for pause in pauses) == (category == "waiting")
        assert all(pause.end is None or pause.start <= pause.end for pause in pauses)
        ended_at = START + step * HOUR if is_ended(category) else None
        now = standing(category, resolved_at=ended_at, pauses=pauses)


def row(category: str, **columns: Any) -> dict[str, Any]:
    plain = dict.fromkeys(STATE_COLUMNS) | {"status": category, "state_category": category}
    return plain | {"sla_state": "on_time", "disputed": False} | columns


@pytest.mark.parametrize(
    ("duplicate", "master", "sla_state", "disputed"),
    [
        (row("open", sla_state="at_risk", disputed=True), row("open", sla_state="overdue"), "overdue", True),
        (row("open"), row("resolved", sla_state="completed"), "completed", False),
        (row("resolved", sla_state="completed", disputed=True), row("open", sla_state="overdue"), "overdue", False),
        (row("resolved", disputed=True), row("closed"), "completed", True),
    ],
)
def test_a_duplicate_stands_where_its_master_stands(
    duplicate: dict[str, Any], master: dict[str, Any], sla_state: str, disputed: bool
) -> None:
    columns = follow(duplicate, master)
    assert {name: columns[name] for name in STATE_COLUMNS} == {name: master[name] for name in STATE_COLUMNS}
    assert (columns["sla_state"], columns["disputed"]) == (sla_state, disputed)


@pytest.mark.parametrize(
    ("request_", "holds"),
    [
        ({"disputed": False}, False),
        ({"disputed": True}, True),
        ({"disputed": False, "has_disputed_duplicate": False}, False),
        ({"disputed": False, "has_disputed_duplicate": True}, True),
    ],
)
def test_a_dispute_of_one_reporter_is_a_dispute_of_the_work(request_: dict[str, Any], holds: bool) -> None:
    assert conditions_of(request_) == (frozenset({"dispute_accepted"}) if holds else frozenset())
