"""Packs: those that ship are sound, and a broken one is answered with the line and field of every fault."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from civicpulse.packs.loader import MAX_CHARACTERS, PackError, available_packs, parse_pack, read_pack
from civicpulse.packs.model import PackDocument, compile_pack
from civicpulse.packs.shapes import PLACEHOLDERS
from civicpulse.rules.calendar import ALWAYS
from civicpulse.rules.duplicates import DuplicatePolicy
from civicpulse.rules.outcome import Refusal
from civicpulse.rules.sla import choose_policy
from civicpulse.rules.workflow import check_workflow, decide_transition

CIVIC = read_pack("civic")
PACK = compile_pack(CIVIC)

SMALL = """\
name: small
version: small-1.0
title: Small
request_id_prefix: SML
categories:
  - {id: pothole, name: Pothole, group: Streets, compatible_with: [road]}
  - id: road
    name: Road
    group: Streets
    default_priority: P2
workflow:
  version: v1
  initial: new
  states:
    new: {category: open, title: New}
    closed: {category: closed, title: Closed}
  transitions:
    - {from: new, to: closed, roles: [dispatcher]}
calendars:
  office:
    windows:
      mon: ["08:00-12:00", "13:00-17:00"]
sla:
  - policy_id: DEFAULT
    target_hours: 72
    breach_threshold_hours: 120
    calendar: office
assignment:
  name: load
  steps: [lowest_load]
messages:
  created:
    en: {subject: "{request_id}", body: "{url}"}
"""


@pytest.mark.parametrize("name", available_packs())
def test_a_shipped_pack_loads_compiles_and_survives_json(name: str) -> None:
    document = read_pack(name)
    assert document.name == name
    assert check_workflow(compile_pack(document).workflow) == []
    assert PackDocument.model_validate(document.model_dump(mode="json")) == document


def test_each_civic_category_is_described_in_five_languages() -> None:
    for category in CIVIC.categories:
        assert len(category.examples) >= 3, category.id
        assert {"en", "es", "ar", "ru", "kk"} <= category.keywords.keys(), category.id
        assert category.description, category.id
        assert category.skills, category.id


def test_civic_is_the_strict_workflow_of_the_specification() -> None:
    edges = {(edge.source, edge.target): edge for edge in PACK.workflow.transitions}
    assert set(edges) == {
        ("new", "triaged"),
        ("new", "closed"),
        ("triaged", "assigned"),
        ("triaged", "closed"),
        ("assigned", "in_progress"),
        ("in_progress", "resolved"),
        ("resolved", "closed"),
        ("resolved", "in_progress"),
    }
    assert edges["new", "triaged"].requires == ("category", "priority", "sla_policy", "zone_id")
    assert edges["triaged", "assigned"].requires == ("assigned_agent_id",)
    assert edges["assigned", "in_progress"].requires == ("milestone.arrived|milestone.work_started",)
    assert edges["in_progress", "resolved"].requires == ("evidence|checklist|milestone.resolution",)
    assert edges["resolved", "in_progress"].when == ("dispute_accepted",)
    assert [edge.requires for key, edge in edges.items() if key[1] == "closed"] == [(), (), ()]
    assert {key for key, edge in edges.items() if "agent" in edge.roles} == {
        ("assigned", "in_progress"),
        ("in_progress", "resolved"),
    }
    assert PACK.open_states == ("new", "triaged", "assigned", "in_progress")


def test_an_agent_starts_work_with_a_milestone() -> None:
    def start(*present: str) -> object:
        return decide_transition(
            PACK.workflow, current="assigned", to="in_progress", role="agent", present=frozenset(present)
        )

    assert isinstance(start(), Refusal)
    assert not isinstance(start("milestone.arrived"), Refusal)


@pytest.mark.parametrize("category", PACK.categories)
def test_an_emergency_is_due_within_a_day_round_the_clock_whatever_it_is(category: str) -> None:
    for zone in ("ZONE-DT-01", "elsewhere"):
        urgent = choose_policy(PACK.sla_rules, category=category, zone=zone, priority="P1")
        usual = choose_policy(PACK.sla_rules, category=category, zone=zone, priority="P4")
        assert urgent is not None
        assert usual is not None
        assert urgent.target_hours <= min(24, usual.target_hours)
        assert PACK.calendar_of(urgent).always


def test_every_message_speaks_five_languages() -> None:
    assert set(CIVIC.messages) >= {"created", "status_changed", "resolved", "escalated", "otp", "merged"}
    values = dict.fromkeys(PLACEHOLDERS, "x")
    for event in CIVIC.messages:
        texts = set()
        for language in ("en", "es", "ar", "ru", "kk"):
            message = PACK.message(event, language)
            assert message is not None
            texts.add(message.body.format(**values))
        assert len(texts) == 5
    assert PACK.message("otp", "pt") == PACK.message("otp", "en")
    assert PACK.message("otp", "es-MX") == PACK.message("otp", "es")
    assert PACK.message("unheard_of", "en") is None


def test_compatibility_holds_both_ways_and_ends_at_the_next_friend() -> None:
    assert set(PACK.compatible("flooding")) == {"flooding", "water_leak", "sewer_backup"}
    assert PACK.compatible("water_leak") == ("water_leak", "flooding")
    for one in PACK.categories:
        assert PACK.compatible(one)[:1] == ((one,) if PACK.categories[one].dedupe else ())
        assert all(one in PACK.compatible(other) for other in PACK.compatible(one))


def test_a_category_may_look_less_far_for_duplicates() -> None:
    assert PACK.duplicate_policy("street_light").attach_hours == 6
    assert PACK.duplicate_policy("fallen_tree").neighbours
    assert not PACK.duplicate_policy("sidewalk_damage").attach
    assert PACK.duplicate_policy("pothole").radius_m == 100
    assert PACK.duplicate_policy("missed_trash").window_hours == 72
    assert PACK.duplicate_policy("dropped_since") == PACK.duplicate_policy("pothole") == DuplicatePolicy()


def test_skills_come_from_the_sub_category_when_it_names_some() -> None:
    assert PACK.required_skills("illegal_dumping") == {"sanitation"}
    assert PACK.required_skills("illegal_dumping", "construction") == {"sanitation"}
    assert PACK.required_skills("illegal_dumping", "hazardous") == {"hazmat"}
    assert PACK.required_skills("dropped_since") == frozenset()


def test_a_calendar_keeps_the_packs_time_zone_unless_it_has_its_own() -> None:
    pack = compile_pack(parse_pack(f"timezone: Asia/Almaty\n{SMALL}", "small.yaml"))
    policy = pack.policies["DEFAULT"]
    assert pack.calendar_of(policy).timezone == "Asia/Almaty"
    assert pack.calendar_of(policy).windows[0] == ((480, 720), (780, 1020))
    without = compile_pack(parse_pack(SMALL.replace("    calendar: office\n", ""), "small.yaml"))
    assert without.calendar_of(without.policies["DEFAULT"]) is ALWAYS


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("default_priority: P2", "default_priority: P9", r"small.yaml:10: categories\[1\].default_priority: Input "),
        ("title: Small", "title: 7", r"small.yaml:3: title: Input should be a valid string"),
        ("title: Small\n", "", r"small.yaml:1: title: Field required"),
        ("title: Small", "titel: Small", r"small.yaml:3: titel: Extra inputs are not permitted"),
        ("    group: Streets\n    def", "    def", r"small.yaml:7: categories\[1\].group: Field required"),
        ("[road]", "[rode]", r"small.yaml:6: categories\[0\].compatible_with\[0\]: unknown category 'rode'"),
        ("P2\n", "P2\n    dedupe: false\n", r"small.yaml:6: .*must both have dedupe on"),
        ("id: road", "id: pothole", r"small.yaml:7: categories\[1\].id: id 'pothole' is taken by an earlier entry"),
        ("initial: new", "initial: born", r"small.yaml:13: workflow.initial: unknown state 'born'"),
        ("to: closed", "to: shut", r"small.yaml:18: workflow.transitions\[0\].to: unknown state 'shut'"),
        ("{category: closed,", "{category: open,", r"small.yaml:11: workflow: no state has the category closed"),
        ("from: new", "from: closed", r"small.yaml:15: workflow.states.new: .*no way out"),
        ('12:00"', '12.00"', r"small.yaml:22: calendars.office.windows.mon\[0\]: '08:00-12.00' is not a window"),
        ("13:00-17", "11:00-17", r"small.yaml:22: calendars.office.windows.mon: windows overlap"),
        ("13:00-17", "18:00-17", r"small.yaml:22: calendars.office.windows.mon: a window must end after it starts"),
        ("    windows:", "    always: true\n    windows:", r"small.yaml:20: calendars.office: give either"),
        ("  office:", "  office:\n    timezone: Mars", r"small.yaml:21: calendars.office.timezone: unknown time zone"),
        ("calendar: office", "calendar: 24x7", r"small.yaml:27: sla\[0\].calendar: unknown calendar '24x7'"),
        ("threshold_hours: 120", "threshold_hours: 12", r"small.yaml:26: sla\[0\].breach_threshold_hours: 12 is less"),
        ("hours: 72", "hours: 72\n    category: roda", r"small.yaml:26: sla\[0\].category: unknown category 'roda'"),
        ("hours: 72", "hours: 72\n    response_hours: 73", r"small.yaml:26: sla\[0\].response_hours: 73 is more"),
        ("target_hours: 72", "target_hours: -1", r"small.yaml:25: sla\[0\].target_hours: Input should be greater"),
        ("[lowest_load]", "[zone, luck]", r"small.yaml:30: assignment.steps\[1\]: unknown step 'luck'"),
        (
            "roles: [dispatcher]",
            "roles: [dispatcher], requires: [milestone.x]",
            r"small.yaml:18: .*unknown milestone 'x'",
        ),
        ("messages:", "score: {speed: 0.5}\nmessages:", r"small.yaml:31: score: weights must add up to 1, not 1.2"),
        ("messages:", "priority_weights: {P1: 8}\nmessages:", r"small.yaml:31: priority_weights: no weight for P2"),
        ("    en:", "    kk:", r"small.yaml:32: messages.created: no template in the pack's language 'en'"),
        ("{url}", "{url.__class__}", r"small.yaml:33: messages.created.en.body: unknown placeholder"),
        ("{url}", "{url", r"small.yaml:33: messages.created.en.body: "),
        ("messages:", "milestones: {done: {title: Done, moves_to: gone}}\nmessages:", r"small.yaml:31: .*'gone'"),
        ("title: Small", "title: Small\ntitle: Large", r"small.yaml:4: title: given twice"),
        ("title: Small", "title: [", r"small.yaml:\d+: not YAML"),
        ("title: Small", "title: !!python/name:os.system x", r"small.yaml:3: not YAML"),
        ("title: Small", "title: \x00", r"small.yaml: not YAML"),
    ],
)
def test_a_fault_is_named_with_file_line_and_field(old: str, new: str, fault: str) -> None:
    assert old in SMALL
    with pytest.raises(PackError) as caught:
        parse_pack(SMALL.replace(old, new, 1), "small.yaml")
    assert re.search(fault, str(caught.value), re.MULTILINE), str(caught.value)


def test_every_fault_is_reported_in_the_order_of_lines() -> None:
    text = SMALL.replace("steps: [lowest_load]", "steps: [luck]").replace("to: closed", "to: shut")
    with pytest.raises(PackError) as caught:
        parse_pack(text, "small.yaml")
    assert [line for line, _ in caught.value.problems] == [18, 30]


def test_a_document_from_the_api_is_checked_as_closely_as_one_from_yaml() -> None:
    document = read_pack("civic").model_dump(mode="json")
    document["sla"][0]["calendar"] = "lunar"
    with pytest.raises(ValidationError, match=r"sla\[0\]\.calendar: unknown calendar 'lunar'") as caught:
        PackDocument.model_validate(document)
    assert "lunar" in caught.value.json()


def test_yaml_scalars_mean_what_they_say() -> None:
    text = SMALL.replace("title: Small", "title: no").replace(
        "en: {subject", "no: {subject, body: x}\n    en: {subject"
    )
    text = text.replace("no: {subject, body: x}", 'no: {subject: "8:30", body: 2026-01-01}')
    document = parse_pack(text, "small.yaml")
    assert document.title == "no"
    assert document.messages["created"]["no"].body == "2026-01-01"


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 10)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "a pack is a mapping"),
        ("- a\n- b", "a pack is a mapping"),
        ("a: &a [*a]", "contains itself|not YAML"),
        ("x" * (MAX_CHARACTERS + 1), "longer than"),
        ("[" * 1000, "not YAML"),
        (BOMB, "more than"),
    ],
)
def test_text_that_is_no_pack_or_means_harm_is_refused(text: str, fault: str) -> None:
    with pytest.raises(PackError, match=fault):
        parse_pack(text, "bad.yaml")


@given(st.text(max_size=60))
def test_no_text_breaks_the_loader(text: str) -> None:
    with pytest.raises(PackError):
        parse_pack(text, "any.yaml")


def test_a_pack_is_read_by_name_or_by_path(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL, encoding="utf-8")
    assert read_pack(file) == read_pack(str(file)) == parse_pack(SMALL, "small.yaml")
    with pytest.raises(PackError, match=r"no such pack; these ship: .*civic"):
        read_pack("atlantis")
    with pytest.raises(PackError, match="cannot be read"):
        read_pack(tmp_path / "missing.yaml")


def test_a_state_is_called_by_its_title_and_one_of_an_earlier_version_by_its_name() -> None:
    pack = compile_pack(read_pack("campus"))
    assert pack.title_of("waiting_parts") == pack.document.workflow.states["waiting_parts"].title
    assert pack.title_of("sent_to_workshop") == "Sent to workshop"
