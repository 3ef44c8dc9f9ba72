"""Personal data leaves no text that goes out; what says where and when stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicpulse.triage.masking import is_iin, mask

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


def test_check_digits_of_kazakh_numbers() -> None:
    assert [number for number in range(10) if is_iin(f"90010130012{number}")] == [6]
    assert not is_iin("12345")
