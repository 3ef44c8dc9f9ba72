"""The cascade over offices: nearest office, who may, the next office, two lowest loads in turn (R-ASG-05)."""

from collections import Counter
from dataclasses import replace
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.distribution import (
    Distribution,
    DistributionPolicy,
    DistributionState,
    EligibilityRule,
    ManagerFacts,
    OfficeFacts,
    TicketFacts,
    distribute,
)

SPACE = UUID(int=0)
CHIEF = "Главный специалист"
PLACES = {"Астана": (71.45, 51.18), "Алматы": (76.91, 43.25), "Караганда": (73.10, 49.80), "Кокшетау": (69.39, 53.28)}
OFFICES = [OfficeFacts(uuid5(SPACE, name), name, *place) for name, place in PLACES.items()]
POLICY = DistributionPolicy(
    home_country="KZ",
    split={"Астана": 1, "Алматы": 1},
    rules=(
        EligibilityRule("segment", "segment", frozenset({"VIP", "Priority"}), skill="VIP"),
        EligibilityRule("position", "category", frozenset({"data_change"}), positions=frozenset({CHIEF})),
        EligibilityRule("kazakh", "language", frozenset({"kk"}), skill="KZ"),
        EligibilityRule("english", "language", frozenset({"en"}), skill="ENG"),
    ),
    language="ru",
    labels={"data_change": "Смена данных", "kk": "KZ", "en": "ENG"},
)


def manager(name: str, office: str, *skills: str, load: int = 0, position: str = "Специалист") -> ManagerFacts:
    return ManagerFacts(uuid5(SPACE, office + name), name, uuid5(SPACE, office), position, frozenset(skills), load)


def ticket(name: str, office: str | None = "Караганда", **facts: object) -> TicketFacts:
    lon, lat = PLACES[office] if office else (None, None)
    base = TicketFacts(
        uuid5(SPACE, name), "consultation", 5, "Mass", "ru", lon, lat, "KZ", "town" if office else "none"
    )
    return replace(base, **facts)  # type: ignore[arg-type]


STAFF = [
    manager("А", "Караганда", "KZ", load=3),
    manager("Б", "Караганда", "ENG", "KZ"),
    manager("В", "Астана", "VIP", "ENG", "KZ", load=2, position=CHIEF),
    manager("Г", "Астана", "KZ", load=4),
    manager("Д", "Алматы", "VIP", load=6, position=CHIEF),
    manager("Е", "Кокшетау", "VIP", "ENG", "KZ", load=4),
]
NAMES = {one.id: one.name for one in STAFF} | {office.id: office.name for office in OFFICES}


def run(*tickets: TicketFacts, policy: DistributionPolicy = POLICY, staff=STAFF, state=None) -> list[Distribution]:
    return list(distribute(tickets, staff, offices=OFFICES, policy=policy, state=state))


def name_of(office_id: UUID | None) -> str:
    assert office_id is not None
    return NAMES[office_id]


def went(decision: Distribution) -> tuple[str | None, str | None]:
    return NAMES.get(decision.office_id), NAMES.get(decision.manager_id)  # type: ignore[arg-type]


def test_the_nearest_office_takes_a_ticket_and_its_sentence_says_so() -> None:
    decision = run(ticket("1", lon=72.57, lat=50.56))[0]
    assert went(decision) == ("Караганда", "Б")
    assert decision.reason == (
        "Ближайший к клиенту офис — Караганда (93 км); особых требований нет; "
        "из двух наименее загруженных (Б — 0, А — 3) очередь менеджера Б."
    )
    assert [(step.step, step.outcome) for step in decision.steps] == [
        ("nearest_office", "nearest"), ("eligibility", "able"), ("two_in_turn", "turn"),
    ]  # fmt: skip


@pytest.mark.parametrize("segment", ["VIP", "Priority"])
def test_vip_without_a_vip_manager_goes_to_the_next_office_by_distance_from_the_first(segment: str) -> None:
    decision = run(ticket("1", segment=segment))[0]
    assert went(decision) == ("Астана", "В")
    assert name_of(decision.primary_office_id) == "Караганда"
    assert "следующий по расстоянию от него офис Астана (193 км)" in decision.reason
    assert [failure.lacks for failure in decision.failures] == ["VIP", "VIP"]
    assert decision.steps[2].detail["tried"] == ["Караганда"]


def test_the_next_office_is_the_one_near_the_first_not_near_the_customer() -> None:
    staff = [manager("Ж", "Алматы", "VIP"), manager("З", "Кокшетау", "VIP")]
    near_astana_from_south = ticket("1", lon=73.0, lat=49.0, segment="VIP")  # Караганда first; Кокшетау is nearer to it
    decision = run(near_astana_from_south, staff=staff)[0]
    km = {office.name: office for office in OFFICES}
    assert name_of(decision.primary_office_id) == "Караганда"
    assert decision.office_id == km["Кокшетау"].id


def test_a_change_of_data_goes_to_a_chief_specialist_only() -> None:
    decision = run(ticket("1", "Кокшетау", category="data_change"))[0]
    assert went(decision) == ("Астана", "В")
    assert "должность «Главный специалист» (тип Смена данных)" in decision.reason


def test_every_rule_that_binds_must_hold() -> None:
    decision = run(ticket("1", "Алматы", segment="VIP", language="en", category="data_change"))[0]
    assert went(decision) == ("Астана", "В")
    assert decision.reason.count("навык") == 2


def test_unknown_and_foreign_addresses_take_turns_between_the_split_offices() -> None:
    facts = [{}, {"country": "RU", "lon": 37.6, "lat": 55.7, "quality": "town"}]
    tickets = [ticket(str(n), None, **facts[n % 2]) for n in range(9)]
    offices = Counter(name_of(one.primary_office_id) for one in run(*tickets))
    assert abs(offices["Астана"] - offices["Алматы"]) == 1
    assert "за рубежом (RU)" in run(tickets[1])[0].reason


def test_the_turn_of_the_split_survives_the_call() -> None:
    state = DistributionState()
    offices = []
    for number in range(4):
        decided = distribute([ticket(str(number), None)], STAFF, offices=OFFICES, policy=POLICY, state=state)
        state = DistributionState.from_json(decided.state.to_json())
        offices.append(name_of(decided.decisions[0].primary_office_id))
    assert offices == ["Астана", "Алматы", "Астана", "Алматы"]


def test_the_state_begins_empty_and_steps_are_kept_as_they_were() -> None:
    assert DistributionState.from_json(None) == DistributionState.from_json({}) == DistributionState()
    (decision,) = run(ticket("1", None))
    first = decision.steps[0]
    assert first.to_json() == {"step": first.step, "outcome": first.outcome, "detail": dict(first.detail)}


def test_shares_other_than_halves_are_kept() -> None:
    policy = replace(POLICY, split={"Астана": 3, "Алматы": 1})
    offices = Counter(
        name_of(one.primary_office_id) for one in run(*[ticket(str(n), None) for n in range(8)], policy=policy)
    )
    assert offices == {"Астана": 6, "Алматы": 2}


def test_a_region_counts_as_an_address_unless_the_pack_asks_for_a_town() -> None:
    vague = ticket("1", quality="region")
    assert name_of(run(vague)[0].primary_office_id) == "Караганда"
    assert "не определён" in run(vague, policy=replace(POLICY, least_quality="town"))[0].reason


def test_the_two_lowest_take_turns_and_loads_grow_at_once() -> None:
    staff = [manager("А", "Караганда"), manager("Б", "Караганда"), manager("В", "Караганда", load=9)]
    names = {one.id: one.name for one in staff}
    decisions = run(*[ticket(str(n)) for n in range(6)], staff=staff)
    assert [one.manager_id and names[one.manager_id] for one in decisions] == ["А", "Б", "А", "Б", "А", "Б"]
    assert [load for _, _, load in decisions[4].candidates] == [2, 2]


def test_turns_are_taken_also_when_one_is_much_busier() -> None:
    staff = [manager("А", "Караганда"), manager("Б", "Караганда", load=50)]
    names = {one.id: one.name for one in staff}
    assert [
        one.manager_id and names[one.manager_id] for one in run(*[ticket(str(n)) for n in range(4)], staff=staff)
    ] == [
        "А",
        "Б",
        "А",
        "Б",
    ]


def test_of_one_idle_and_three_busy_ones_every_second_ticket_is_the_idle_ones() -> None:
    staff = [manager("А", "Караганда"), *(manager(name, "Караганда", load=5) for name in "БВГ")]
    names = {one.id: one.name for one in staff}
    decisions = run(*[ticket(str(n)) for n in range(7)], staff=staff)
    assert [one.manager_id and names[one.manager_id] for one in decisions] == list("АБАВАГА")


def test_three_in_turn_are_three_in_turn() -> None:
    staff = [manager("А", "Караганда"), *(manager(name, "Караганда", load=50) for name in "БВ")]
    names = {one.id: one.name for one in staff}
    decisions = run(*[ticket(str(n)) for n in range(6)], staff=staff, policy=replace(POLICY, in_turn=3))
    assert [one.manager_id and names[one.manager_id] for one in decisions] == list("АБВАБВ")


@pytest.mark.parametrize(
    ("language", "said"),
    [("ru", "расстояние до клиента неизвестно"), ("kk", "қашықтық белгісіз"), ("en", "how far from them is unknown")],
)
def test_a_town_found_only_as_its_regions_seat_is_told_so(language: str, said: str) -> None:
    decision = run(ticket("1", quality="region"), policy=replace(POLICY, language=language))[0]
    assert said in decision.reason
    assert "км" not in decision.reason
    assert (decision.steps[0].detail["km_from_seat"], decision.steps[0].detail.get("km")) == (0.0, None)


def test_higher_priority_first_equal_ones_in_the_order_given() -> None:
    tickets = [ticket("low", priority=1), ticket("one", priority=9), ticket("two", priority=9)]
    assert [one.ticket_id for one in run(*tickets)] == [tickets[1].id, tickets[2].id, tickets[0].id]


def test_nobody_anywhere_stays_unassigned_and_says_why() -> None:
    decision = run(ticket("1", segment="VIP"), staff=STAFF[:2])[0]
    assert went(decision) == (None, None)
    assert "ни в одном из офисов (Караганда, Астана, Кокшетау, Алматы)" in decision.reason


def test_a_pack_may_stop_at_the_first_office_and_may_keep_types_out() -> None:
    stops = run(ticket("1", segment="VIP"), policy=replace(POLICY, next_office=False))[0]
    assert stops.manager_id is None
    kept = run(ticket("1", category="spam"), policy=replace(POLICY, unassigned=frozenset({"spam"})))[0]
    assert kept.manager_id is None
    assert "никому не назначаются" in kept.reason


def test_no_offices_and_no_split_say_so() -> None:
    lost = distribute([ticket("1"), ticket("2", None)], STAFF, offices=[], policy=POLICY)
    assert {one.manager_id for one in lost} == {None}
    assert [one.steps[0].outcome for one in lost] == ["no_offices", "nowhere"]


def test_an_office_without_a_place_is_nobodys_nearest_but_may_be_the_next() -> None:
    offices = [OFFICES[2], OfficeFacts(OFFICES[0].id, "Астана")]
    decided = distribute([ticket("1", segment="VIP")], STAFF, offices=offices, policy=POLICY).decisions[0]
    assert went(decided) == ("Астана", "В")
    assert "другой офис Астана" in decided.reason


@pytest.mark.parametrize(
    ("language", "words"), [("kk", "ең жақын кеңсе"), ("en", "nearest to the customer"), ("fr", "nearest")]
)
def test_the_reason_is_one_sentence_in_the_tenants_language(language: str, words: str) -> None:
    for facts in ({}, {"segment": "VIP"}, {"office": None}):
        office = facts.pop("office", "Караганда") if "office" in facts else "Караганда"
        decision = run(ticket("1", office, **facts), policy=replace(POLICY, language=language))[0]
        assert decision.reason.endswith(".")
        assert decision.reason.count(".") == 1
        assert "{" not in decision.reason
    assert words in run(ticket("1"), policy=replace(POLICY, language=language))[0].reason


TICKETS = st.lists(
    st.builds(
        TicketFacts,
        id=st.uuids(),
        category=st.sampled_from(["data_change", "consultation", "spam"]),
        priority=st.integers(1, 10),
        segment=st.sampled_from(["Mass", "VIP", "Priority", None]),
        language=st.sampled_from(["ru", "kk", "en", None]),
        lon=st.one_of(st.none(), st.floats(46, 88)),
        lat=st.one_of(st.none(), st.floats(40, 56)),
        country=st.sampled_from(["KZ", "RU", None]),
        quality=st.sampled_from(["house", "town", "region", "none"]),
    ),
    max_size=25,
    unique_by=lambda one: one.id,
)
MANAGERS = st.lists(
    st.builds(
        ManagerFacts,
        id=st.uuids(),
        name=st.sampled_from(["А", "Б", "В"]),
        office_id=st.sampled_from([office.id for office in OFFICES] + [UUID(int=7)]),
        position=st.sampled_from([CHIEF, "Специалист", None]),
        skills=st.frozensets(st.sampled_from(["VIP", "ENG", "KZ"])),
        load=st.integers(0, 9),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


@given(TICKETS, MANAGERS, st.randoms())
def test_any_input_is_decided_once_explained_and_the_loads_add_up(tickets, managers, random) -> None:
    decided = distribute(tickets, managers, offices=OFFICES, policy=POLICY)
    shuffled = random.sample(managers, len(managers))
    assert distribute(tickets, shuffled, offices=OFFICES[::-1], policy=POLICY) == decided
    assert Counter(one.ticket_id for one in decided) == Counter(one.id for one in tickets)
    given_to = Counter(one.manager_id for one in decided if one.manager_id)
    assert decided.loads == {one.id: one.load + given_to[one.id] for one in managers}
    by_id = {one.id: one for one in managers}
    for one in decided:
        assert one.reason.endswith(".")
        assert one.steps
        if one.manager_id is not None:
            assert by_id[one.manager_id].office_id == one.office_id
        else:
            assert one.office_id is None
    splits = Counter(one.steps[0].detail["office"] for one in decided if one.steps[0].outcome == "split")
    assert abs(splits["Астана"] - splits["Алматы"]) <= 1


@given(TICKETS, MANAGERS, st.integers(0, 25))
def test_two_calls_in_a_row_are_one_call(tickets, managers, cut) -> None:
    tickets = [replace(one, priority=5) for one in tickets]
    whole = distribute(tickets, managers, offices=OFFICES, policy=POLICY)
    first = distribute(tickets[:cut], managers, offices=OFFICES, policy=POLICY)
    busier = [replace(one, load=first.loads[one.id]) for one in managers]
    second = distribute(tickets[cut:], busier, offices=OFFICES, policy=POLICY, state=first.state)
    assert [one.manager_id for one in (*first, *second)] == [one.manager_id for one in whole]
    assert (second.state, second.loads) == (whole.state, whole.loads)
