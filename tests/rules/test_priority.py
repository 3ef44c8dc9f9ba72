"""Priorities, scores, and what raises the first priority of a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.priority import (
    PRIORITIES,
    PRIORITY_OF_SEVERITY,
    SEVERITY_OF_PRIORITY,
    PriorityChoice,
    choose_priority,
    priority_of_score,
    score_of_priority,
)

HAZARDS = {
    "gas leak": "P1",
    "sparks": "P1",
    "flooding": "P2",
    "прорвало трубу": "P1",
    "гололёд": "P2",
    "газ шығып жатыр": "P1",
    "تسرب غاز": "P1",
    "गड्ढा": "P2",
    "煤气泄漏": "P1",
    "ไฟไหม้": "P1",
    "화재": "P1",
    "straße blockiert": "P2",
    "café fire": "P2",
}
TAGS = {"School": "P2", "hospital": "P1", "cosmetic": "P4"}


def choose(text: str = "", *, default: str = "P3", tags: tuple[str, ...] = ()) -> PriorityChoice:
    return choose_priority(default=default, tags=tags, text=text, tag_priorities=TAGS, hazard_words=HAZARDS)


@pytest.mark.parametrize(
    ("score", "priority"),
    [(10, "P1"), (9, "P1"), (8, "P2"), (7, "P2"), (6, "P3"), (5, "P3"), (4, "P3"), (3, "P4"), (2, "P4"), (1, "P4")],
)
def test_each_score_has_its_priority(score: int, priority: str) -> None:
    assert priority_of_score(score) == priority


def test_each_priority_has_a_score_in_its_range_and_a_severity() -> None:
    assert [score_of_priority(priority) for priority in PRIORITIES] == [9, 7, 5, 2]
    assert [priority_of_score(score_of_priority(priority)) for priority in PRIORITIES] == list(PRIORITIES)
    assert [PRIORITY_OF_SEVERITY[SEVERITY_OF_PRIORITY[priority]] for priority in PRIORITIES] == list(PRIORITIES)
    assert list(PRIORITY_OF_SEVERITY) == ["critical", "high", "medium", "low"]


@pytest.mark.parametrize("score", [0, 11, -1])
def test_a_score_out_of_range_is_refused(score: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.10"):
        priority_of_score(score)


@pytest.mark.parametrize("priority", ["P0", "p1", "", "critical"])
def test_an_unknown_priority_is_refused(priority: str) -> None:
    with pytest.raises(ValueError, match="unknown priority"):
        score_of_priority(priority)
    with pytest.raises(ValueError, match="unknown priority"):
        choose(default=priority)
    with pytest.raises(ValueError, match="unknown priority"):
        choose_priority(default="P3", tags=(), text="x", tag_priorities={}, hazard_words={"x": priority})


def test_the_category_default_holds_when_nothing_else_speaks() -> None:
    assert choose("A pothole.") == PriorityChoice("P3", 5, ("category default P3",))


@pytest.mark.parametrize(
    ("text", "tags", "default", "priority", "reasons"),
    [
        ("Smell of a GAS LEAK here", (), "P3", "P1", ["hazard word 'gas leak'"]),
        ("gas-leak!", (), "P3", "P1", ["hazard word 'gas leak'"]),
        ("gas  \n leak", (), "P3", "P1", ["hazard word 'gas leak'"]),
        ("gas and a leak", (), "P3", "P3", ["category default P3"]),
        ("the last word is gas", (), "P3", "P3", ["category default P3"]),
        ("gas gas leak", (), "P3", "P1", ["hazard word 'gas leak'"]),
        ("gas leak, gas leak", (), "P3", "P1", ["hazard word 'gas leak'"]),
        ("gas leaks", (), "P3", "P3", ["category default P3"]),
        ("pothole", ("school",), "P3", "P2", ["tag 'school'"]),
        ("flooding", ("SCHOOL",), "P3", "P2", ["tag 'SCHOOL'", "hazard word 'flooding'"]),
        ("flooding with sparks", ("school",), "P3", "P1", ["hazard word 'sparks'"]),
        ("flooding", (), "P1", "P1", ["category default P1"]),
        ("sparks", ("hospital",), "P1", "P1", ["category default P1", "tag 'hospital'", "hazard word 'sparks'"]),
        ("scratch", ("cosmetic",), "P3", "P3", ["category default P3"]),
        ("scratch", ("unheard",), "P4", "P4", ["category default P4"]),
    ],
)
def test_the_most_urgent_of_default_tags_and_words_wins(
    text: str, tags: tuple[str, ...], default: str, priority: str, reasons: list[str]
) -> None:
    assert choose(text, tags=tags, default=default) == PriorityChoice(
        priority, score_of_priority(priority), tuple(reasons)
    )


@pytest.mark.parametrize(
    ("text", "priority"),
    [
        ("На Абая ПРОРВАЛО ТРУБУ!", "P1"),
        ("сильный гололед у школы", "P2"),  # е written for ё
        ("Подвалда газ шығып жатыр", "P1"),
        ("يوجد تسرب غاز في المبنى", "P1"),
        ("सड़क पर गड्ढा है", "P2"),
        ("सड़क पर गड्ढाें", "P3"),  # another vowel sign makes it another word
        ("楼里煤气泄漏了", "P1"),
        ("ตึกไฟไหม้แล้ว", "P1"),
        ("건물에 화재가 났어요", "P1"),
        ("STRASSE BLOCKIERT", "P2"),
        ("cafe\u0301 fire", "P2"),  # decomposed accent
    ],
)
def test_hazard_words_are_found_in_any_script(text: str, priority: str) -> None:
    assert choose(text).priority == priority


def test_without_rules_the_default_holds() -> None:
    bare = choose_priority(default="P4", tags=("x",), text="gas leak", tag_priorities={}, hazard_words={})
    assert bare == PriorityChoice("P4", 2, ("category default P4",))


def test_a_hazard_of_no_words_is_never_found() -> None:
    odd = choose_priority(default="P4", tags=(), text="?! ...", tag_priorities={}, hazard_words={"?!": "P1", " ": "P1"})
    assert odd.priority == "P4"


@given(
    text=st.text(max_size=40),
    words=st.lists(st.sampled_from(list(HAZARDS)), max_size=3),
    default=st.sampled_from(PRIORITIES),
)
def test_a_hazard_in_the_text_is_never_missed_and_never_lowers(text: str, words: list[str], default: str) -> None:
    choice = choose(" . ".join([text, *words]), default=default)
    assert choice.priority <= min([default, *(HAZARDS[word] for word in words)])
    assert choice.reasons
