"""Personal data leaves no text that goes out; what says where and when stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.rules.masking import words as masking_words
from civicpulse.rules.masking.masker import HIDDEN, for_public, is_iin, mask
from civicpulse.rules.masking.words import Words

SECRETS = [
    ("Call me at (617) 555-0134", "(617) 555-0134", "PHONE"),
    ("or 617-555-0134.", "617-555-0134", "PHONE"),
    ("тел. 8 701 123 45 67", "8 701 123 45 67", "PHONE"),
    ("+7 (701) 123-45-67", "+7 (701) 123-45-67", "PHONE"),
    ("Хабарласыңыз: +77011234567", "+77011234567", "PHONE"),
    ("هاتفي 0501234567", "0501234567", "PHONE"),
    ("llámeme al móvil 612 345 678", "612 345 678", "PHONE"),
    ("mail joe.d+x@example.co.uk now", "joe.d+x@example.co.uk", "EMAIL"),
    ("Карта 4111 1111 1111 1111", "4111 1111 1111 1111", "CARD"),
    ("card 5500-0000-0000-0004", "5500-0000-0000-0004", "CARD"),
    ("ИИН 900101300123", "900101300123", "ID"),
    ("мой номер 900101300126", "900101300126", "ID"),
    ("my passport number N1234567", "N1234567", "ID"),
    ("паспорт 45 08 123456", "45 08 123456", "ID"),
    ("SSN 123-45-6789", "123-45-6789", "ID"),
    ("СНИЛС 112-233-445 95", "112-233-445 95", "ID"),
    ("DNI 12345678Z", "12345678Z", "ID"),
    ("счёт KZ86125KZT5004100100", "KZ86125KZT5004100100", "IBAN"),
    ("iban GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 32", "IBAN"),
    ("Account number 12345678", "12345678", "ACCOUNT"),
    ("мой пароль: qwerty123", "qwerty123", "SECRET"),
    ("cvv 123", "123", "SECRET"),
    ("My name is John Smith and", "John Smith", "NAME"),
    ("Меня зовут Айгерим Сатпаева", "Айгерим Сатпаева", "NAME"),
    ("reference 123456789012345", "123456789012345", "NUMBER"),
    ("Tel 0151/23456789", "0151/23456789", "PHONE"),
    ("Ruf mich an: 030 / 123 45 67", "030 / 123 45 67", "PHONE"),
    ("0151/23456789, abends", "0151/23456789", "PHONE"),
    ("тел 21-10-12", "21-10-12", "PHONE"),
    ("2026-01-15 87011234567", "87011234567", "PHONE"),
    ("case of 617-555-0134", "617-555-0134", "PHONE"),
    ("write to joe [at] example [dot] org", "joe [at] example [dot] org", "EMAIL"),
    ("чат: https://wa.me/77011234567", "wa.me/77011234567", "CONTACT"),
    ("договор № KZ-123456/7 от 15.01.2026", "KZ-123456/7", "CONTRACT"),
    ("Vertrag Nr. 12345678", "12345678", "CONTRACT"),
    ("mine is 123-45-6789", "123-45-6789", "ID"),
    ("Contract no. 55512", "55512", "CONTRACT"),
    ("my name is john, call me", "john", "NAME"),
    ("Ich heiße Klaus Meier und", "Klaus Meier", "NAME"),
    ("اسمي أحمد", "أحمد", "NAME"),
    ("прошу помочь.\n\n\nс уважением, Динара.\n", "Динара", "NAME"),
    ("С уважением, \n    Алексей", "Алексей", "NAME"),
    ("С Уважением Воробьева Ю.", "Воробьева Ю.", "NAME"),
    ("Best Regards,\nGregory", "Gregory", "NAME"),
    ("Mit freundlichen Grüßen\nHans Müller", "Hans Müller", "NAME"),
    ("Құрметпен, Айгүл Сатпаева", "Айгүл Сатпаева", "NAME"),
    ("Saludos,\nMaría García", "María García", "NAME"),
    ("مع التحية\nأحمد علي", "أحمد علي", "NAME"),
    ("Huge thanks in advance, Vlad.", "Vlad", "NAME"),
    ("Прошу связаться 87011234567 Динара", "Динара", "NAME"),
    ("Name: John Smith\nStreet name: Main St", "John Smith", "NAME"),
    ("Mrs. Jones next door", "Jones", "NAME"),
    ("менеджер Иванов Иван Иванович отказал", "Иванов Иван Иванович", "NAME"),
    ("Динара Ерланқызы", "Динара Ерланқызы", "NAME"),
    ("I live at 12 Main St, Apt 4 and", "12 Main St, Apt 4", "ADDRESS"),
    ("Я живу на улице Абая 10, кв 5. Яма", "улице Абая 10, кв 5", "ADDRESS"),
    ("Абай көшесі 10, 5 пәтерде тұрамын", "Абай көшесі 10, 5 пәтерде", "ADDRESS"),
    ("Vivo en Calle Mayor 5, piso 3 y hay", "Calle Mayor 5, piso 3", "ADDRESS"),
    ("Ich wohne in der Hauptstraße 12, Berlin. Das Loch", "Hauptstraße 12, Berlin", "ADDRESS"),
    ("أسكن في شارع الملك فهد 12", "شارع الملك فهد 12", "ADDRESS"),
]

HARMLESS = [
    "15 Main St, apt 4, Boston MA 02118",
    "ул. Абая 150/230, корпус 3",
    "on 2024-05-01 at 12:30 and 10-12-2023 10:00",
    "from 01.02.2024-03.02.2024, winter 2019-2020",
    "at 42.35943, -71.05888",
    "it cost 1 000 000 тенге and 2 500 000 000 тенге",
    "my request CST-2026-000123, order 45231",
    "bus 66 at stop 12345",
    "potholes 3-4 inches deep, 10 of them",
    "since 1998, 24/7, route I-90",
    "площадь 120 000 кв м",
    "С 18-45  15.01.26 не могу зайти",
    "Pothole at 12 Main St, in front of Elm Street 5",
    "We live in Boston and it smells",
    "We live in Boston, lamp 5 is out",
    "case 2024-00012345, Fall 20240012345",
    "заявка № 202400012345 от 15.01.2026",
    "Call 2024-01-15: no answer; call 311 please",
    "my name is not on the list",
    "Thank you Boston for fixing Main St",
    "Regards. Please fix the Light",
    "phone booth 2019-2020",
    "street light 123/45678 is out",
    "LG TV dumped, bay AB12 3456 789",
    "",
]


@pytest.mark.parametrize(("text", "secret", "kind"), SECRETS)
def test_secrets_are_masked_by_kind(text, secret, kind) -> None:
    masked = mask(text)
    assert secret not in masked.text
    assert f"[{kind}_1]" in masked.text
    assert secret in masked.secrets.values()


@pytest.mark.parametrize("text", HARMLESS)
def test_places_times_and_amounts_stay(text) -> None:
    assert mask(text).text == text


def test_the_same_secret_has_one_placeholder() -> None:
    masked = mask("joe@example.org, again joe@example.org, not ann@example.org")
    assert masked.text == "[EMAIL_1], again [EMAIL_1], not [EMAIL_2]"


def test_a_links_query_goes_and_its_address_stays() -> None:
    assert mask("see https://x.org/photo?token=abc123 now").text == "see https://x.org/photo now"


@given(st.text(max_size=300))
def test_any_text_can_be_masked_and_twice_changes_nothing_more_than_once(text) -> None:
    once = mask(text)
    assert len(mask(once.text).secrets) <= len(once.secrets) + 3


@given(st.integers(min_value=10**9, max_value=10**18))
def test_no_run_of_ten_digits_leaves(number) -> None:
    assert str(number) not in mask(f"number {number} please").text


def test_a_links_query_is_hidden_from_the_public_too() -> None:
    assert for_public("see https://x.org/p?token=abc now").text == "see https://x.org/p now"


def test_check_digits_of_kazakh_numbers() -> None:
    assert [number for number in range(10) if is_iin(f"90010130012{number}")] == [6]
    assert not is_iin("12345")
    assert is_iin("900101300126")
    assert is_iin("000000000101"), "the first weights give ten, so the second decide"
    assert not is_iin("000000002810"), "both give ten: there is no such number"


def test_the_public_reads_the_sign_of_an_omission_and_the_kinds_are_told() -> None:
    public = for_public("Hole at 15 Elm St. Call 617-555-0134 or 617-555-0199, joe@example.org")
    assert public.text == f"Hole at 15 Elm St. Call {HIDDEN} or {HIDDEN}, {HIDDEN}"
    assert public.hidden == ("EMAIL", "PHONE")
    assert for_public("Hole at 15 Elm St.").hidden == ()


@given(st.text(max_size=300))
def test_what_the_public_reads_has_nothing_left_to_hide(text) -> None:
    once = for_public(text).text
    assert len(for_public(once).hidden) <= len(for_public(text).hidden) + 1


GROUPS = {name: group for name, group in vars(masking_words).items() if isinstance(group, Words) and group.hints}


@pytest.mark.parametrize("name", GROUPS)
def test_every_word_is_found_by_one_of_its_hints(name) -> None:
    group = GROUPS[name]
    assert [
        word for word in group.words if not any(hint in word.lower().replace("\\", "") for hint in group.hints)
    ] == []
