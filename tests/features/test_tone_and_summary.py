"""Tone by lexicon and summary by extract."""

import pytest

from civicpulse.triage.sentiment import sentiment_of
from civicpulse.triage.summary import LONGEST, summarise
from civicpulse.triage.words import fold, read

TONES = [
    ("en", "Thank you so much, great work by the crew!", "positive"),
    ("en", "The street light on Elm is out", "neutral"),
    ("en", "This is unacceptable and dangerous, I am furious", "negative"),
    ("en", "The repair is not good", "negative"),
    ("en", "Hole in the road, thanks", "neutral"),
    ("en", "Thanks!", "positive"),
    ("ru", "Спасибо, всё сделали быстро и аккуратно", "positive"),
    ("ru", "На углу не горит фонарь", "neutral"),
    ("ru", "Безобразие, надоело терпеть эту грязь!", "negative"),
    ("ru", "Мошенники украли деньги со счёта", "negative"),
    ("kk", "Үлкен рахмет, жұмыс тамаша", "positive"),
    ("kk", "Көшеде шам жанбайды", "neutral"),
    ("kk", "Бұл масқара, өте қауіпті!", "negative"),
    ("ar", "شكراً جزيلاً، عمل ممتاز", "positive"),
    ("ar", "حفرة أمام المدرسة", "neutral"),
    ("ar", "هذا إهمال فظيع وخطر على الأطفال", "negative"),
    ("es", "Muchas gracias, excelente servicio", "positive"),
    ("es", "Farola apagada en la esquina", "neutral"),
    ("es", "Es una vergüenza, estamos hartos", "negative"),
    ("fr", "lampadaire 😡😡", "negative"),
]


@pytest.mark.parametrize(("language", "text", "expected"), TONES)
def test_tone(language, text, expected) -> None:
    assert sentiment_of(read(text), language) == expected


def test_a_summary_leaves_out_greeting_signature_and_mail_headers() -> None:
    text = "Fwd: lamp\nFrom: Ann\nHello team,\n\nthe lamp at 5 Elm St\nis out.\n\nKind regards\nAnn Smith\n+1 617"
    assert summarise(text) == "The lamp at 5 Elm St is out."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Здравствуйте! Не горит фонарь.", "Не горит фонарь."),
        ("Сәлеметсіз бе! Су жоқ.", "Су жоқ."),
        ("السلام عليكم، لا توجد مياه", "لا توجد مياه"),
        ("Buenos días, no hay agua", "No hay agua"),
        ("Hello", "Hello"),
        ("", ""),
        ("  \n ", ""),
    ],
)
def test_a_summary_starts_with_the_matter(text, expected) -> None:
    assert summarise(text) == expected


def test_a_long_text_gives_whole_sentences_and_a_long_sentence_is_cut_between_words() -> None:
    sentences = "There is a hole in the road. " * 20
    assert summarise(sentences).endswith("road.")
    cut = summarise("word " * 200)
    assert len(cut) <= LONGEST
    assert cut.endswith("word…")


def test_folding_makes_one_of_letters_that_people_mix_up() -> None:
    assert fold("ЁЛКА") == fold("елка")
    assert fold("إضاءةٌ") == fold("اضاءه")
    assert read("See https://a.b/c or mail x@y.zz: don't").words == ["see", "or", "mail", "don't"]


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("The lift is stuck again.\n\n> On Monday we repaired the lift.\n> Regards, Desk", "The lift is stuck again."),
        ("> We closed your ticket.\nIt leaks still.\n\n--\nAda Byron\nRoom 12", "It leaks still."),
        ("It leaks still.\n\nOn Tue, 3 Mar 2026 the desk wrote:\nWe closed your ticket.", "It leaks still."),
        ("Лифт опять стоит.\n\n3 марта 2026 г. Служба пишет:\n> Лифт исправлен.", "Лифт опять стоит."),
        ("Деньги не пришли.\n-----Исходное сообщение-----\nОт: Банк\nЖдите.", "Деньги не пришли."),
        ("Деньги не пришли. С уважением, Динара Ахметова", "Деньги не пришли."),
        ("The lamp is broken. Kind regards, Ada.", "The lamp is broken."),
        ("> Only what was quoted.", "> Only what was quoted."),
        ("> Only what\n> was quoted.", "Only what was quoted."),
        ("Pressure > 5 bar.\nHe wrote: nothing works.", "Pressure > 5 bar. He wrote: nothing works."),
    ],
)  # fmt: skip
def test_quoted_mail_and_signatures_are_no_summary(text: str, summary: str) -> None:
    assert summarise(text) == summary
