"""Normalised addresses: one key for the ways in which people write one place, none for a mere street."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.addresses import NAMED, address_key, is_room_alone, place_key, rooms_in, rooms_of_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("39 Lorraine St  Roslindale  MA  02131", "39 lorraine st"),
        ("39 Lorraine Street, Roslindale MA", "39 lorraine st"),
        ("50 John St Newport, RI 02840, USA", "50 john st"),
        ("1155 EAST   35 STREET", "1155 e 35 st"),
        ("1155 E. 35th St., Brooklyn", "1155 e 35 st"),
        ("45 BEACH   20 STREET", "45 beach 20 st"),
        ("123 AVENUE   J", "123 ave j"),
        ("39 Broadway  Boston  MA  02109", "39 broadway"),
        ("7016 West Archer Avenue", "7016 w archer ave"),
        ("12 N.W. 5th Ave", "12 nw 5 ave"),
        ("12 O’Brien Rd", "12 obrien rd"),
        ("12 E St James Pl", "12 e st james pl"),
        ("20 Court St Boston", "20 ct st"),
        ("1500-1502 Tremont St", "1500-1502 tremont st"),
        ("44hf Mather St", "44hf mather st"),
        ("12½ Main St", "12 1/2 main st"),
        ("12 Main St Apt 3", "12 main st apt 3"),
        ("12 Main St, Apt. 3, Springfield", "12 main st apt 3"),
        ("12 Main St #3", "12 main st unit 3"),
        ("Main St, 15", "15 main st"),
        ("12345 Main St", "12345 main st"),
        ("opposite the park, 12 Elm Street, Boston", "12 elm st"),
        ("INTERSECTION of Groveland St & River St  Mattapan  MA  ", "intersection groveland st & river st"),
        ("River Street and Groveland Street", "intersection groveland st & river st"),
        ("corner of River St / Groveland St, Mattapan", "intersection groveland st & river st"),
        ("35 Street & 5 Avenue", "intersection 35 st & 5 ave"),
        ("Berkeley St & Public Alley No. 420  Boston", "intersection berkeley st & public aly no 420"),
        ("ул. Абая, 15", "15 ул абая"),
        ("г. Алматы, улица Абая, д. 15, кв. 3", "15 ул абая кв 3"),
        ("улица Абая 15", "15 ул абая"),
        ("пр-т Назарбаева, дом 12/3", "12/3 пр назарбаева"),
        ("Абая көшесі 15", "15 абая көш"),
        ("мкр Самал 2, 58", "58 мкр самал 2"),
        ("شارع الملك ١٥", "15 شارع الملك"),
        ("Calle Mayor 15, Madrid", "15 calle mayor"),
        ("улица Абая 15 #3", "15 ул абая unit 3"),
        ("saint and шоссе saint 5", "intersection 5 st & шоссе st"),  # the first reading is read once more
    ],
)
def test_an_address_has_one_key_however_it_is_written(text: str, key: str) -> None:
    assert address_key(text) == key


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "  ",
        "Main St",
        "MAIN STREET, Springfield",
        "5 Ave",
        "35th Street",
        "3rd Street Extended Newport, RI",
        "02131",
        "02131 Boston",
        "12",
        "Calle 50",
        "ул. Абая",
        "мкр 5",
        "potholes and trash",
        "Union Ave & UNION Avenue",
    ],
)
def test_a_text_without_house_number_or_second_street_is_no_address(text: str | None) -> None:
    assert address_key(text) is None


def test_a_text_whose_reading_does_not_settle_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("civicpulse.rules.addresses._PASSES", 1)
    assert address_key.__wrapped__("15 Main St") == "15 main st"
    assert address_key.__wrapped__("saint and шоссе saint 5") is None


SCRAPS = """
12 35 5 35th e w north n.w. st street ave avenue j broadway main of corner intersection and at & @ / , ; # apt unit no.
ул. Абая д. дом кв calle шоссе пр-т 12-a 1/2 saint the O'Brien ² ß İ ﷺ 12345 ١٥ 44hf court мкр
"""
scraps = st.sampled_from([*SCRAPS.split(), "  ", " ", "\n", "-"])


@given(
    st.one_of(
        st.text(max_size=30),
        st.lists(scraps, max_size=10).map(" ".join),
        st.lists(st.one_of(scraps, st.text(max_size=3)), max_size=10).map("".join),
    )
)
def test_a_key_is_its_own_key(text: str) -> None:
    key = address_key(text)
    assert key is None or address_key(key) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("15 Main St", "15 main st"),
        ("Hartwell Library, 2nd floor", "@2 fl hartwell library"),
        ("on the second floor of the Hartwell Library", "@2 fl hartwell library"),
        ("Library, floor 3", "@3 fl library"),
        ("2 floor of the library", "@2 fl library"),
        ("Room 204, Science Hall", "@204 hall rm science"),
        ("Библиотека, комната 5", "@5 библиотека комната"),
        ("Main St", None),
        ("ул. Абая", None),
        ("here", None),
        ("my house", None),
        ("2nd floor", None),
        ("12", None),
        ("...", None),
        ("", None),
        (None, None),
        ("it was behind that thing where we used to play when the old school was not yet torn down", None),
    ],
)
def test_a_place_may_be_called_by_its_name(text: str | None, key: str | None) -> None:
    assert place_key(text) == key


@given(st.text(max_size=60))
def test_a_name_is_never_taken_for_a_street_address(text: str) -> None:
    key, address = place_key(text), address_key(text)
    assert key in (None, address) or key.startswith(NAMED)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Building 12, room 204", "@building:12 room:204"),
        ("room 204, Building 12", "@building:12 room:204"),
        ("room 12, building 204", "@building:204 room:12"),
        ("Building A, Rm. 7b", "@building:a room:7b"),
        ("Room 204", "@room:204"),
        ("Room", None),
        ("Building 12", None),
        ("my room", None),
    ],
)
def test_a_room_is_a_place_with_its_building_or_alone(text: str, key: str | None) -> None:
    assert place_key(text) == key
    assert key is None or is_room_alone(key) is (key == "@room:204")


@pytest.mark.parametrize(
    ("text", "rooms"),
    [
        ("Projector in room 201 is dead", {"201"}), ("ROOM No. 305, then rm 306b", {"305", "306b"}), ("В кабинете 12 холодно", {"12"}),
        ("204-й кабинет и 305-бөлме", {"204", "305"}), ("ауд. 7", {"7"}), ("no room for 5 cars", set()), ("a roommate of 12", set()),
    ],
)  # fmt: skip
def test_rooms_are_found_in_words(text: str, rooms: set[str]) -> None:
    assert rooms_in(text) == rooms


@pytest.mark.parametrize(
    ("key", "rooms"),
    [
        (None, set()), ("15 main st", set()), ("@hartwell library", set()), ("@201 hartwell library rm", {"201"}),
        ("@building:12 room:204", {"room:204"}), ("@room:204", {"room:204"}),
    ],
)  # fmt: skip
def test_the_room_of_a_place_that_is_called_by_its_name(key: str | None, rooms: set[str]) -> None:
    assert rooms_of_key(key) == rooms
