"""What people are told when something is refused or escalated: titles in their language, never a name of the program."""

import re
from string import Formatter
from typing import Any

import pytest

from civicpulse.rules.outcome import Reason, Refusal
from civicpulse.rules.words.saying import (
    Titles,
    readable,
    say_escalation,
    say_level,
    say_not_permitted,
    say_refusal,
    say_standing,
    spoken,
)
from civicpulse.rules.words.texts import TEXTS

LEVELS = ("on_time", "at_risk", "overdue", "breached", "completed")
MACHINE_WORD = re.compile(r"\w+_\w+|\w+:\w+|\w+\.\w")
STATES = {"in_progress": "In progress", "waiting_parts": "Waiting for parts", "closed": "Closed"}
TITLES = Titles("en", STATES, {"field_agent": "Field agent"}, {"work_started": "Work started"})


def refused(code: str, *reasons: Reason, **more: Any) -> Refusal:
    return Refusal(code, "in_progress", more.pop("target", "waiting_parts"), "field_agent", reasons, **more)


@pytest.mark.parametrize(
    ("refusal", "detail", "reasons"),
    [
        (
            refused("unknown_state", Reason("unknown_state"), target="on_hold", allowed_next=("closed",)),
            "There is no state “on hold” here. The request can become: “Closed”.",
            ("There is no state “on hold” here.",),
        ),
        (
            refused("transition_not_allowed", allowed_next=("closed", "in_progress")),
            "A request that is “In progress” cannot become “Waiting for parts”. "
            "The request can become: “Closed”, “In progress”.",
            (),
        ),
        (
            refused("transition_not_allowed"),
            "A request that is “In progress” cannot become “Waiting for parts”. Nothing comes after “In progress”.",
            (),
        ),
        (
            refused("role_not_allowed", Reason("role_not_allowed"), roles=("dispatcher_in_chief", "field_agent")),
            "Your role “Field agent” may not move a request from “In progress” to “Waiting for parts”. "
            "These roles may: “dispatcher in chief”, “Field agent”.",
            ("These roles may: “dispatcher in chief”, “Field agent”.",),
        ),
        (
            refused(
                "missing_fields",
                Reason("missing", "evidence|milestone.work_started|milestone.tea_break"),
                Reason("missing", "spare_part"),
            ),
            "To move a request from “In progress” to “Waiting for parts” this is still needed: "
            "evidence, such as a photo or the milestone “Work started” or the milestone “tea break”; spare part.",
            (
                "Enter evidence, such as a photo or the milestone “Work started” or the milestone “tea break” "
                "on the request, or send it with the move to “Waiting for parts”.",
                "Enter spare part on the request, or send it with the move to “Waiting for parts”.",
            ),
        ),
        (
            refused("condition_not_met", Reason("condition_not_met", "dispute_accepted")),
            "A request moves from “In progress” to “Waiting for parts” only when "
            "the person who reported it says that it is not resolved.",
            ("First this must be so: the person who reported it says that it is not resolved.",),
        ),
    ],
)
def test_each_refusal_is_a_sentence_of_titles(refusal: Refusal, detail: str, reasons: tuple[str, ...]) -> None:
    said = say_refusal(refusal, TITLES)
    assert (said.detail, said.reasons) == (detail, reasons)


@pytest.mark.parametrize("language", TEXTS)
def test_each_language_says_everything(language: str) -> None:
    codes = (
        "unknown_state",
        "transition_not_allowed",
        "role_not_allowed",
        "missing_fields",
        "condition_not_met",
        "too_late_to_classify",
        "not_yours_to_classify",
    )
    names = [*TEXTS[language]["fields"], *TEXTS[language]["conditions"], "milestone.work_started"]
    titles = Titles(language)
    said = [say_refusal(refused(code, *(Reason("any", name) for name in names)), titles) for code in codes]
    texts = [text for one in said for text in (one.detail, *one.reasons)]
    texts += [say_not_permitted(role, ["field_agent"], titles) for role in ("field_agent", None)]
    texts += [
        say_escalation(hours, "shift_lead", titles, is_taken=taken) for hours in (1, 4.5) for taken in (True, False)
    ]
    texts += [say_standing(code, "CST-2026-000123", "in_progress", titles) for code in TEXTS["en"]["standing"]]
    texts += [say_level(level, language) for level in (*LEVELS, "no_sla")]
    for text in texts:
        assert not MACHINE_WORD.search(text.replace("4.5", "4")), text
        assert not set("{}") & set(text), text


def shape(words: Any) -> Any:
    """What a translation must have in common with the English text: its keys and what is filled in."""
    if isinstance(words, str):
        return sorted(field for _, field, _, _ in Formatter().parse(words) if field)
    return {key: shape(value) for key, value in words.items()}


@pytest.mark.parametrize("language", TEXTS)
def test_every_translation_fills_in_what_the_english_text_does(language: str) -> None:
    assert shape(TEXTS[language]) == shape(TEXTS["en"])


def test_an_escalation_says_who_did_not_do_what_and_who_knows() -> None:
    titles = Titles("en", roles={"dispatcher": "Dispatcher"})
    assert say_escalation(4, "dispatcher", titles, is_taken=False) == (
        "nobody has taken it up for 4 hours; “Dispatcher” has been told"
    )
    assert say_escalation(1, "night_desk", titles, is_taken=True) == (
        "it has not been resolved after 1 hour; “night desk” has been told"
    )


@pytest.mark.parametrize(("language", "known"), [("ru", "ru"), ("es-MX", "es"), ("fi", "en"), ("", "en")])
def test_a_language_without_texts_is_spoken_to_in_its_base_or_english(language: str, known: str) -> None:
    assert spoken(language) == known


def test_what_a_request_stands_in_the_way_of_is_said_with_its_title() -> None:
    said = say_standing("not_open", "CST-2026-000123", "closed", TITLES)
    assert said == "CST-2026-000123 is “Closed”: there is nothing left to escalate."


def test_a_name_without_a_title_is_made_readable() -> None:
    assert readable("milestone.work__started_") == "milestone work started"
