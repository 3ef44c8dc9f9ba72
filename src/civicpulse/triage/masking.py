"""Personal data out of a text before it leaves the machine: patterns, check digits, and any long number unexplained.

Addresses stay: they say where. What a placeholder stands for is known to this process only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from stdnum import iban, luhn
from stdnum.es import dni, nie
from stdnum.ru import inn


@dataclass(frozen=True, slots=True)
class Masked:
    """The text with placeholders such as [PHONE_1], and what each stands for."""

    text: str
    secrets: dict[str, str]


_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,255}(?:\.[\w-]{1,255})+")
_QUERY = re.compile(r"(https?://[^\s?#]{1,1000})[?#]\S+")
_LETTERED = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b|\b[XYZ]?\d{7,8}-?[A-Z]\b", re.IGNORECASE)
_DIGITS = re.compile(r"(?<![\w.,/-])\+?\(?\d[\d ().\u00a0‑–-]{5,}\d(?![\w/])")
_NAMED_ID = re.compile(
    r"(?P<lead>\b(?:passport|паспорт\w*|төлқұжат\w*|pasaporte|جواز(?: السفر| سفر)?|удостоверени\w+|жеке куәлі\w+|driver'?s licen[cs]e|"
    r"ssn|social security|иин|жсн|инн|снилс|dni|nie|هوية)\W{0,4}(?:no\.?|number|номер|№|nº|رقم|серия)?\W{0,4})"
    r"(?P<secret>[A-ZА-Я]{0,2} ?\d[\d -]{4,12}\d)",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"(?P<lead>\b(?:account|acct|сч[её]т\w*|шот\w*|حساب\w*|cuenta)\W{0,4}(?:no\.?|number|номер|нөмірі|№|nº|رقم)?\W{0,4})"
    r"(?P<secret>\d[\d -]{4,24}\d)",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?P<lead>\b(?:cvv|cvc|pin(?:[- ]?code)?|пин(?:[- ]?код)?|парол[ьея]|password|құпия ?сөз\w*|contraseña|clave|"
    r"код из (?:смс|sms)|كلمة (?:السر|المرور))"
    r"\s*(?:is|es|[:=—-])?\s*)(?P<secret>(?=\S*\d)\S{3,40})",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?P<lead>\b(?i:my name is|меня зовут|менің атым|мои фио|фио|me llamo|mi nombre es|اسمي)\s*:?\s+)"
    r"(?P<secret>[A-ZА-ЯЁӘҒҚҢӨҰҮҺІÁÉÍÓÚÑ\u0621-\u064a][\w'’-]+(?:\s+[A-ZА-ЯӘҒҚҢӨҰҮҺІÁÉÍÓÚÑ\u0621-\u064a][\w'’-]+){0,2})"
)
_DAY = r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:\d{4}|\d{2}))"
_DATE = re.compile(rf"{_DAY}(?: ?[-–] ?{_DAY}| \d{{1,2}})?")
_DECIMAL = re.compile(r"\d{1,3}\.\d+")
_THOUSANDS = re.compile(r"\d{1,3}(?:[ \u00a0.]\d{3})+")
_YEARS = re.compile(r"(?:19|20)\d\d ?[-–] ?(?:19|20)\d\d")
_SNILS = re.compile(r"\d{3}-\d{3}-\d{3}[ -]\d{2}")
_SSN = re.compile(r"\d{3}-\d{2}-\d{4}")
_PHONE_SHAPE = re.compile(r"\(\d{2,5}\) ?[\d -]{5,10}|\d{3}[-. ]\d{3}[-. ]\d{4}|\d{3}-\d{4}|\d{2,3}-\d{2}-\d{2}")
_PHONE_WORD = re.compile(
    r"(?:phone|call|tel|mobile|cell|whats ?app|тел|звон|моб|сот|ватсап|хабарлас|ұялы|هاتف|جوال|اتصل|رقمي|llam|móvil|celular)[^\d\n]{0,20}$",
    re.IGNORECASE,
)
_MONEY_AFTER = re.compile(
    r"\s{0,12}(?:тенге|тг|теңге|₸|руб|₽|\$|usd|eur|€|دينار|ريال|درهم|pesos|euros|dollars)", re.IGNORECASE
)
_UNEXPLAINED: Final = 10  # digits in a row that no harmless number of a report has


def mask(text: str) -> Masked:
    """Replaces e-mail addresses, phones, cards, accounts, documents, passwords and stated names."""
    book = _Book()
    if "@" in text:
        text = _EMAIL.sub(lambda found: book.placeholder("EMAIL", found[0]), text)
    if "://" in text:
        text = _QUERY.sub(r"\1", text)
    text = _NAME.sub(book.keeping_lead("NAME"), text)
    if _DIGIT.search(text):
        text = _mask_numbers(text, book)
    return Masked(text, book.secrets)


def _mask_numbers(text: str, book: "_Book") -> str:
    text = _SECRET.sub(book.keeping_lead("SECRET"), text)
    text = _LETTERED.sub(lambda found: _lettered(found, book), text)
    text = _NAMED_ID.sub(book.keeping_lead("ID"), text)
    text = _ACCOUNT.sub(book.keeping_lead("ACCOUNT"), text)
    return _DIGITS.sub(lambda found: _number(found, book), text)


class _Book:
    """Placeholders given so far; the same secret gets the same one."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self._given: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def placeholder(self, kind: str, secret: str) -> str:
        if secret not in self._given:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._given[secret] = f"[{kind}_{self._counts[kind]}]"
            self.secrets[self._given[secret]] = secret
        return self._given[secret]

    def keeping_lead(self, kind: str) -> Callable[[re.Match[str]], str]:
        return lambda found: found["lead"] + self.placeholder(kind, found["secret"])


def _lettered(found: re.Match[str], book: _Book) -> str:
    value = found[0]
    if iban.is_valid(value):
        return book.placeholder("IBAN", value)
    if dni.is_valid(value) or nie.is_valid(value):
        return book.placeholder("ID", value)
    return value


def _number(found: re.Match[str], book: _Book) -> str:
    value = found[0]
    kind = _kind(
        value, before=found.string[max(0, found.start() - 40) : found.start()], after=found.string[found.end() :][:12]
    )
    return value if kind is None else book.placeholder(kind, value)


def _kind(value: str, *, before: str, after: str) -> str | None:
    """Says what a number is, or None for one that may stay: a date, an amount, a coordinate, a short reference."""
    plain = value.strip()
    if _SNILS.fullmatch(plain) or _SSN.fullmatch(plain):
        return "ID"
    if any(shape.fullmatch(plain) for shape in (_DATE, _DECIMAL, _YEARS)):
        return None
    digits = "".join(character for character in plain if character.isdigit())
    if _THOUSANDS.fullmatch(plain) and (len(digits) < _UNEXPLAINED or _MONEY_AFTER.match(after)):
        return "PHONE" if _PHONE_WORD.search(before) else None
    return _kind_of_digits(digits, plain, before)


def _kind_of_digits(digits: str, plain: str, before: str) -> str | None:
    length = len(digits)
    if 13 <= length <= 19 and luhn.is_valid(digits):
        return "CARD"
    if is_iin(digits) or (length in (10, 12) and plain == digits and inn.is_valid(digits)):
        return "ID"
    is_phone = plain.startswith("+") or _PHONE_SHAPE.fullmatch(plain) or _PHONE_WORD.search(before)
    if is_phone and 6 <= length <= 15:
        return "PHONE"
    if length < _UNEXPLAINED:
        return None
    return "PHONE" if length <= 11 else "NUMBER"


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
