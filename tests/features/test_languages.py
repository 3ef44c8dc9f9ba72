"""Which language a text is in: the measured set, and the cases that decide between neighbours."""

import pytest
from language_texts import TEXTS

from civicpulse.triage.languages import identify
from civicpulse.triage.words import read

FIVE = ("en", "ru", "kk", "ar", "es")


def language(text: str, *, languages: tuple[str, ...] = FIVE, default: str = "ru") -> str:
    return identify(read(text), languages, default=default).language


def test_at_least_98_of_100_short_texts_are_told_right() -> None:
    wrong = [(code, text) for code, texts in TEXTS.items() for text in texts if language(text, default="zz") != code]
    total = sum(map(len, TEXTS.values()))
    assert total >= 200
    assert len(wrong) <= 0.02 * total, wrong


@pytest.mark.parametrize(
    "text", ["", "12345", "!!! ???", "https://example.org/улица/дом", "joe@example.org", "你好", "😀"]
)
def test_what_cannot_be_told_is_the_default(text) -> None:
    assert identify(read(text), FIVE, default="kk").confidence < 0.5 or language(text, default="kk") == "kk"
    assert language(text, default="kk") == "kk"


def test_only_the_tenants_languages_are_answered() -> None:
    for text in ("Big hole in the road", "Calle rota", "حفرة كبيرة", "Яма на дороге", "Жолда шұңқыр бар"):
        assert language(text, languages=("ru", "kk"), default="ru") in ("ru", "kk")
        assert language(text, languages=("en",), default="en") == "en"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("На улице Қабанбай батыра опять не горит свет", "ru"),
        ("Бизде жарык жок уш кун болды", "kk"),
        ("Светофор на Main Street не работает", "ru"),
        ("WhatsApp арқылы ақша аударылмайды", "kk"),
        ("The sign on Calle Ocho is down", "en"),
        ("El Starbucks de Main Street tira basura en la calle", "es"),
    ],
)
def test_names_of_another_language_do_not_decide(text, expected) -> None:
    assert language(text) == expected


def test_latin_letters_alone_do_not_make_english() -> None:
    three = ("ru", "kk", "en")
    assert language("Men ruyxatdan utolmayapman sabab nima", languages=three, default="ru") == "ru"
    assert language("Suspicious transfer, did it myself never", languages=three, default="ru") == "en"
    assert language("Login impossible, password rejected twice", languages=three, default="ru") == "en"


def test_a_language_that_the_library_does_not_know_is_no_error() -> None:
    assert language("Big hole in the road", languages=("xx", "yy"), default="xx") == "xx"
