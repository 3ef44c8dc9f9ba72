"""Personal data out of a text: before it leaves the machine, and before the public reads it. One masker for both.

Names that are stated or signed, ways to reach somebody, numbers of documents, cards, accounts and contracts, passwords, and where
somebody says that they live. Where the problem is, when, how much, and the number of a case stay. What a placeholder stands
for is known to this process only. Every pattern is bounded: the texts are strangers'.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from stdnum import iban, luhn
from stdnum.es import dni, nie
from stdnum.ru import inn

from civicpulse.rules.masking.words import (
    ADDRESS_LEADS,
    ADDRESS_WORDS,
    CASE_WORDS,
    CLOSINGS,
    CONTRACT_WORDS,
    LABELS,
    LIVING_AFTER,
    NAME_LEADS,
    NO_NAMES,
    PHONE_WORDS,
    THANKS,
    TITLES,
)

HIDDEN: Final = "[…]"
"""What the public reads in place of what is hidden: the sign of an omission, in any language."""


@dataclass(frozen=True, slots=True)
class Masked:
    """The text with placeholders such as [PHONE_1], and what each stands for."""

    text: str
    secrets: dict[str, str]


@dataclass(frozen=True, slots=True)
class Public:
    """The text as the public reads it, and the kinds of what is hidden in it, each once."""

    text: str
    hidden: tuple[str, ...]


_UPPER = "A-ZÀ-ÖØ-ÞА-ЯЁӘҒҚҢӨҰҮҺІ\u0621-\u064a"
_WORD = rf"[{_UPPER}][\w'’-]{{1,40}}"
_INITIALS = rf"(?:[{_UPPER}]\.[ \t]?){{1,2}}"
_NAME = rf"(?:{_INITIALS}{_WORD}|{_WORD}(?:[ \t]{{1,3}}(?:{_WORD}|{_INITIALS})){{0,2}})"
_PLAIN_NAME = rf"(?!(?i:{NO_NAMES.pattern})\b)[^\W\d_]{{2,40}}"
_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,255}(?:\.[\w-]{1,255})+")
_SPELT_EMAIL = re.compile(
    r"\b[\w.+-]{1,64} ?[(\[] ?(?:at|ät|собака|arroba) ?[)\]] ?[\w-]{1,63}(?: ?(?:\.|[(\[] ?(?:dot|punkt|точка|punto) ?[)\]]) ?[\w-]{2,63}){1,3}",
    re.IGNORECASE,
)
_CHAT = re.compile(r"\b(?:wa\.me|t\.me|api\.whatsapp\.com|viber\.me|m\.me)/[^\s<>]{1,200}", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?#]{1,1000})[?#]\S+")
_LETTERED = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b|\b[XYZ]?\d{7,8}-?[A-Z]\b", re.IGNORECASE)
_DIGITS = re.compile(r"(?<![\w.,/-])\+?\(?\d[\d ().\u00a0‑–-]{5,60}(?<=\d)(?![\w/])")
_NUMBER_WORD = r"(?:no\.?|number|nr\.?|номер\w{0,3}|нөмірі|№|nº|núm\.?|رقم|серия)"
_NAMED_ID = re.compile(
    r"(?P<lead>\b(?:passport|паспорт\w*|төлқұжат\w*|pasaporte|reisepass|personalausweis|جواز(?: السفر| سفر)?|удостоверени\w+|"
    r"жеке куәлі\w+|driver'?s licen[cs]e|ssn|social security|иин|жсн|инн|снилс|dni|nie|هوية)"
    rf"\W{{0,4}}{_NUMBER_WORD}?\W{{0,4}})(?P<secret>[A-ZА-Я]{{0,2}} ?\d[\d -]{{4,12}}\d)",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    rf"(?P<lead>\b(?:account|acct|сч[её]т\w*|шот\w*|حساب\w*|cuenta|konto\w*)\W{{0,4}}{_NUMBER_WORD}?\W{{0,4}})"
    r"(?P<secret>\d[\d -]{4,24}\d)",
    re.IGNORECASE,
)
_CONTRACT = re.compile(
    rf"(?P<lead>\b(?:{CONTRACT_WORDS.pattern})\W{{0,4}}{_NUMBER_WORD}?\W{{0,4}})"
    r"(?P<secret>(?:[A-ZА-Я]{1,5}[-/ ]?)?\d[\d/-]{2,24}(?:[A-ZА-Я]{1,3}\b)?)",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?P<lead>\b(?:cvv|cvc|pin(?:[- ]?code)?|пин(?:[- ]?код)?|парол[ьея]|password|passwort|құпия ?сөз\w*|contraseña|clave|"
    r"код из (?:смс|sms)|كلمة (?:السر|المرور))"
    r"\s{0,5}(?:is|es|ist|[:=—-])?\s{0,5})(?P<secret>(?=\S{0,40}\d)\S{3,40})",
    re.IGNORECASE,
)
_PHONE = re.compile(
    rf"(?P<lead>\b(?:{PHONE_WORDS.pattern})\w{{0,8}}[^\d\n+(]{{0,20}})(?P<secret>\+?\(?\d[\d ().\u00a0/‑–-]{{3,24}}\d)(?![\w-])",
    re.IGNORECASE,
)
_STATED = re.compile(rf"(?P<lead>\b(?i:{NAME_LEADS.pattern})\s{{0,3}}:?\s{{1,3}})(?P<secret>{_NAME}|{_PLAIN_NAME})")
_SIGNED = re.compile(
    rf"(?P<lead>\b(?i:{CLOSINGS.pattern})[\s,.!:;—–-]{{1,12}})(?P<secret>{_NAME})(?=\s{{0,3}}(?:[.,;!\n]|$))"
)
_THANKED = re.compile(rf"(?P<lead>\b(?i:{THANKS.pattern})[\s,.!]{{1,12}})(?P<secret>{_NAME})(?=[\s.!]{{0,40}}\Z)")
_LABELLED = re.compile(
    rf"(?P<lead>^[ \t>]{{0,9}}(?i:{LABELS.pattern})[ \t]{{0,3}}:[ \t]{{0,3}})(?P<secret>{_NAME})", re.MULTILINE
)
_BESIDE_PHONE = re.compile(rf"(?P<lead>\d[\d ()-]{{5,20}}\d[ ,]{{1,3}})(?P<secret>{_NAME})(?=[\s.!]{{0,40}}\Z)")
_TITLED = re.compile(rf"(?P<lead>\b(?:{TITLES.pattern})[ \t]{{1,3}})(?P<secret>{_NAME})")
_PATRONYMIC = re.compile(
    rf"\b(?:[{_UPPER}][\w-]{{1,30}} ){{1,2}}[{_UPPER}]\w{{1,30}}(?:ович|евич|овна|евна|ична|ұлы|қызы|улы|кызы|uly|kyzy)\b"
    rf"(?: {_WORD})?"
)
_PART = rf"(?:\d[\w/-]{{0,8}}|[{_UPPER}]\w{{0,2}}\.|[{_UPPER}][\w'’-]{{0,40}}|(?i:(?:{ADDRESS_WORDS.pattern})\b\.?))"
_ADDRESS = rf"{_PART}(?:[ ,]{{1,3}}{_PART}){{0,11}}"
_LIVING = re.compile(rf"(?P<lead>\b(?i:{ADDRESS_LEADS.pattern})[\s:,]{{1,4}})(?P<secret>{_ADDRESS})")
_LIVING_AFTER = re.compile(
    rf"(?P<lead>^|[.!?,\n] {{0,3}})(?P<secret>{_ADDRESS})(?P<tail>[ ,]{{1,3}}(?i:{LIVING_AFTER.pattern})\b)"
)
_DAY = r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4}|\d{1,2}[./]\d{1,2}[./]\d{2})"
_DATE = re.compile(rf"{_DAY}(?: ?[-–] ?{_DAY}| \d{{1,2}})?|\d{{1,2}}-\d{{1,2}}-\d{{2}}")
_DATE_WITHIN = re.compile(rf"(?<![\d./-]){_DAY}(?![\d./-])")
_DECIMAL = re.compile(r"\d{1,3}\.\d{1,60}")
_THOUSANDS = re.compile(r"\d{1,3}(?:[ \u00a0.]\d{3})+")
_YEARS = re.compile(r"(?:19|20)\d\d ?[-–] ?(?:19|20)\d\d")
_SNILS = re.compile(r"\d{3}-\d{3}-\d{3}[ -]\d{2}")
_SSN = re.compile(r"\d{3}-\d{2}-\d{4}")
_PHONE_SHAPE = re.compile(r"\(\d{2,5}\) ?[\d -]{5,10}|\d{3}[-. ]\d{3}[-. ]\d{4}|\d{3}-\d{4}|\d{2,3}-\d{2}-\d{2}")
_SLASHED = re.compile(r"(?<![\w.,/-])0\d{2,4} ?/ ?\d[\d -]{4,10}\d(?![\w/-])")
_PHONE_WORD = re.compile(rf"(?:{PHONE_WORDS.pattern})[^\d\n]{{0,20}}$", re.IGNORECASE)
_CASE_WORD = re.compile(rf"\b(?:{CASE_WORDS.pattern})\w{{0,6}}\W{{0,4}}(?:{_NUMBER_WORD}|id)?\W{{0,4}}$", re.IGNORECASE)
_MONEY_AFTER = re.compile(
    r"\s{0,12}(?:тенге|тг|теңге|₸|руб|₽|\$|usd|eur|€|دينار|ريال|درهم|pesos|euros|dollars)", re.IGNORECASE
)
_UNEXPLAINED: Final = 10  # digits in a row that no harmless number of a report has


def mask(text: str) -> Masked:
    """Replaces personal data by placeholders that tell kind and sameness: for a language model."""
    book = _Book(lambda kind, count: f"[{kind}_{count}]")
    masked = _mask(text, book)
    return Masked(masked, {placeholder: secret for secret, placeholder in book.given.items()})


def for_public(text: str) -> Public:
    """Replaces personal data by the sign of an omission: for everybody."""
    book = _Book(lambda _kind, _count: HIDDEN)
    return Public(_mask(text, book), tuple(sorted(book.counts)))


def _mask(text: str, book: "_Book") -> str:
    lowered, has_digit = text.lower(), _DIGIT.search(text) is not None
    for rule in _RULES:
        if (has_digit or not rule.needs_digit) and (not rule.hints or any(hint in lowered for hint in rule.hints)):
            replace = partial(rule.replace, book)
            text = rule.pattern.sub(replace, text)
    return text


class _Book:
    """Placeholders given so far; the same secret gets the same one."""

    def __init__(self, write: Callable[[str, int], str]) -> None:
        self.given: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self._write = write

    def placeholder(self, kind: str, secret: str) -> str:
        if secret not in self.given:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.given[secret] = self._write(kind, self.counts[kind])
        return self.given[secret]


def _all_of(kind: str) -> "_Replace":
    return lambda book, found: book.placeholder(kind, found[0])


def _after_lead(kind: str) -> "_Replace":
    return lambda book, found: found["lead"] + book.placeholder(kind, found["secret"])


def _living(book: _Book, found: re.Match[str]) -> str:
    """Hides where somebody lives, if it is told to the house: a town or a street alone is many people's."""
    if not _DIGIT.search(found["secret"]):
        return found[0]
    tail = found.groupdict().get("tail", "")
    return found["lead"] + book.placeholder("ADDRESS", found["secret"]) + tail


def _lettered(book: _Book, found: re.Match[str]) -> str:
    value = found[0]
    if iban.is_valid(value):
        return book.placeholder("IBAN", value)
    if dni.is_valid(value) or nie.is_valid(value):
        return book.placeholder("ID", value)
    return value


def _called(book: _Book, found: re.Match[str]) -> str:
    """Hides a number after a word such as "Tel", unless it is a date, or too short or too long to be called."""
    value = found["secret"]
    is_number = 6 <= len(_digits_of(value)) <= 15 and not _DATE_WITHIN.search(value) and not _YEARS.fullmatch(value)
    return found["lead"] + (book.placeholder("PHONE", value) if is_number else value)


def _run(book: _Book, found: re.Match[str]) -> str:
    """Hides a run of digits with signs between them; a date within it is no part of a number, what stands beside it may be one."""
    value, before, after = (
        found[0],
        found.string[max(0, found.start() - 40) : found.start()],
        found.string[found.end() :][:12],
    )
    day = _DATE_WITHIN.search(value)
    if day is None or value[0] in "+(":
        return _number(value, book, before=before, after=after)
    sides = value[: day.start()], value[day.end() :]
    return (
        f"{_number(sides[0], book, before=before, after='')}{day[0]}{_number(sides[1], book, before='', after=after)}"
    )


def _number(value: str, book: _Book, *, before: str, after: str) -> str:
    kind = _kind(value, before=before, after=after)
    return value if kind is None else value.replace(value.strip(), book.placeholder(kind, value.strip()))


def _kind(value: str, *, before: str, after: str) -> str | None:
    """Says what a number is, or None for one that may stay: a date, an amount, a coordinate, a case, a short reference."""
    plain = value.strip()
    if _SNILS.fullmatch(plain) or _SSN.fullmatch(plain):
        return "ID"
    if any(shape.fullmatch(plain) for shape in (_DATE, _DECIMAL, _YEARS)):
        return None
    digits = _digits_of(plain)
    if _THOUSANDS.fullmatch(plain) and (len(digits) < _UNEXPLAINED or _MONEY_AFTER.match(after)):
        return None
    return _kind_of_digits(digits, plain, before)


def _kind_of_digits(digits: str, plain: str, before: str) -> str | None:
    length = len(digits)
    if 13 <= length <= 19 and luhn.is_valid(digits):
        return "CARD"
    is_shaped = plain.startswith("+") or _PHONE_SHAPE.fullmatch(plain)
    if not is_shaped and _CASE_WORD.search(before):
        return None
    if is_iin(digits) or (length in (10, 12) and plain == digits and inn.is_valid(digits)):
        return "ID"
    if is_shaped and 6 <= length <= 15:
        return "PHONE"
    if length < _UNEXPLAINED:
        return None
    return "PHONE" if length <= 11 else "NUMBER"


def _digits_of(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())


_Replace: TypeAlias = Callable[[_Book, re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is looked for, and what is done with it. Where none of `hints` is in the text in lower case, it is not looked for."""

    pattern: re.Pattern[str]
    replace: _Replace
    hints: tuple[str, ...] = ()
    needs_digit: bool = False


_RULES: Final = (
    _Rule(_EMAIL, _all_of("EMAIL"), ("@",)),
    _Rule(_SPELT_EMAIL, _all_of("EMAIL"), ("(at", "[at", "( at", "[ at", "(ät", "(собака", "[собака", "(arroba")),
    _Rule(_CHAT, _all_of("CONTACT"), ("wa.me", "t.me", "whatsapp", "viber.me", "m.me")),
    _Rule(_QUERY, lambda _book, found: found[1], ("://",)),
    _Rule(_STATED, _after_lead("NAME"), NAME_LEADS.hints),
    _Rule(_SIGNED, _after_lead("NAME"), CLOSINGS.hints),
    _Rule(_THANKED, _after_lead("NAME"), THANKS.hints),
    _Rule(_LABELLED, _after_lead("NAME"), (":",)),
    _Rule(_TITLED, _after_lead("NAME"), TITLES.hints),
    _Rule(_BESIDE_PHONE, _after_lead("NAME"), needs_digit=True),
    _Rule(_PATRONYMIC, _all_of("NAME"), ("вич", "вна", "чна", "ұлы", "қызы", "улы", "кызы", "uly", "kyzy")),
    _Rule(_LIVING, _living, ADDRESS_LEADS.hints, needs_digit=True),
    _Rule(_LIVING_AFTER, _living, LIVING_AFTER.hints, needs_digit=True),
    _Rule(_SECRET, _after_lead("SECRET"), ("cv", "pin", "пин", "парол", "passwor", "сөз", "contrase", "clave", "код", "كلمة"), needs_digit=True),
    _Rule(_LETTERED, _lettered, needs_digit=True),
    _Rule(
        _NAMED_ID,
        _after_lead("ID"),
        ("pass", "пасп", "төлқ", "pasap", "ausweis", "جواز", "удост", "куәл", "licen", "ssn", "social", "иин", "жсн", "инн", "снилс",
         "dni", "nie", "هوية"),
        needs_digit=True,
    ),
    _Rule(_ACCOUNT, _after_lead("ACCOUNT"), ("acc", "сч", "шот", "حساب", "cuenta", "konto"), needs_digit=True),
    _Rule(_CONTRACT, _after_lead("CONTRACT"), CONTRACT_WORDS.hints, needs_digit=True),
    _Rule(_PHONE, _called, PHONE_WORDS.hints, needs_digit=True),
    _Rule(_SLASHED, _all_of("PHONE"), ("/",), needs_digit=True),
    _Rule(_DIGITS, _run, needs_digit=True),
)  # fmt: skip


def is_iin(digits: str) -> bool:
    """Tells whether `digits` is a Kazakh IIN or BIN: twelve digits, the last a weighted sum modulo 11."""
    if len(digits) != 12 or not digits.isdecimal():
        return False
    numbers = [int(digit) for digit in digits]
    for weights in (range(1, 12), (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)):
        check = sum(number * weight for number, weight in zip(numbers, weights, strict=False)) % 11
        if check < 10:
            return check == numbers[11]
    return False
