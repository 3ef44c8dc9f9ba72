"""Which language a text is in, of those that a tenant's people write: script, then little words, then py3langid.

Measured: restricted to a tenant's languages the library is nearly always right, but not on Kazakh
typed with Russian letters, for which the word list stands here.
"""

import copy
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from civicpulse.triage.words import Reading, word_set

_ARABIC = re.compile("[\u0620-\u064a\u0671-\u06d3\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc]")
_CYRILLIC = re.compile("[\u0400-\u052f]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_KAZAKH = re.compile("[әғқңөұүһі]")
_KAZAKH_ONLY = re.compile("[әғқңөұүһ]")
_UKRAINIAN = re.compile("[їєґ]")
_SPANISH = re.compile("[ñ¿¡]")

_SCRIPTS: Final = {
    "arabic": frozenset({"ar", "fa", "ur", "ps", "ug", "sd"}),
    "cyrillic": frozenset({"ru", "kk", "uk", "be", "bg", "sr", "mk", "ky", "tg", "mn", "tt"}),
}
_SCRIPT_SHARE: Final = 0.25

_RUSSIAN = word_set(
    """и в во не на я что он с со как это все но по к из у за от так о вы мы для же бы было был была были есть нет уже или
    если только еще когда где который которая которое мне меня нас нам вас вам его ее их ли до под над при без после очень
    можно нужно надо почему здравствуйте добрый день пожалуйста прошу просьба спасибо возле около рядом между через который
    улице улица дома дом дворе двор у нас вчера сегодня завтра опять снова никто ничего никак уже неделю месяц дней не могу
    который чтобы также тоже потому этот эта эти того там тут здесь сейчас работает стоит горит вывозят убрать"""
)  # fmt: skip

# As typed on a Russian keyboard, without the letters that Kazakh adds; with them a text needs no list.
_KAZAKH_WORDS = word_set(
    """жане мен пен бен бул осы сол ол олар биз сиз мен сен бар жок жогы емес керек керек болды болып болса болган болады
    турады тур жатыр отыр кетти келди калды калай кайда кашан неге нелер кандай канша кайсы кім ким не бир еки уш торт
    бес алты жети сегиз тогыз он кун куни кунде куннен апта апталап ай айдан жыл бурын енди азир казир кеше бугин ертен уй
    уйдин уйде уйимиз уйимизде уйимиздин кошеде кошеси кошенин кошемизде жолда жолдын жолга аула аулада ауламызда ауданы
    аудан калада каланын кала кент ауыл су суды судын жарык жарыгы шам шамы жанбайды истемейди жумыс жасамайды коп аз улкен
    киши жаксы жаман отте тым катты балалар бала баланын адам адамдар адамдарга тургындар тургын мектеп мектептин балабакша
    сураймын суранамын отинемин отиниш отиниши рахмет рахметтер салем саламатсызба саламатсыздарма сиздерге сизге бизге
    бизди биздин сиздин маган мени менин саган оган онын олардын уш ушин дейин кейин бери дан ден тан тен нан нен да де та
    те гана тек барлык бари барлыгы ешкім ешким ештене ешбир арине мумкин мумкин керекпиз тиис тезирек тез тазалап тазаланыз
    тазаламайды кокыс кокысты кар карды муз куздi бойы бойында жаны жанында касында алдында артында астында устинде ишинде
    арасында туралы жайлы бойынша аркылы сиякты секилди болмайды болмады алмай алмаймын алмайды жатса жатырмын деп десе дейди
    ашылмайды кирмейди шыкпайды берилмейди косылмайды акша акшам шот шотым карта картам"""
)  # fmt: skip
_KAZAKH_ENDING = re.compile(
    r"(?:нын|нин|дын|дин|тын|тин|лар|лер|дар|дер|лары|лери|дары|дери|мыз|миз|ымыз|имиз|ныз|низ|ынызды|сыз|сиз|"
    r"лык|лик|дык|тык|ган|ген|кан|кен|майды|мейди|байды|бейди|пайды|пейди|мады|меди|ады|еди|йды|йди|атын|етин|дагы|деги|"
    r"гы|ши|шы|ып|ип|уга|уге|ында|инде|ынан|инен|ына|ине)$"
)

_ENGLISH = word_set(
    """the a an and is are was were be been it its it's this that these those there here i i'm i've my we our you your he she
    they them their of in on at to for from with without by as or but not no don't doesn't didn't can't cannot won't isn't
    has have had will would could should can please need needs want what when where why how who which all any some very too
    again still never always every each about into over under near next out up down off after before since than then also
    only just been being do does did get got street road light lights trash water broken hello thanks thank"""
)  # fmt: skip
_SPANISH_WORDS = word_set(
    """el la los las un una unos unas y e o u de del al en por para con sin sobre entre desde hasta que qué como cómo cuando
    cuándo donde dónde porque pero si sí no ni ya muy más mas también tampoco es está esta este esto esa ese eso son están
    fue ser estar hay había he ha han tengo tiene tienen mi mis tu su sus nuestro nuestra nos me se le les lo yo nosotros
    ustedes usted ellos ella él favor gracias hola buenos buenas días dias tardes calle agua luz basura casa barrio semana
    semanas ayer hoy mañana siempre nunca nadie nada todo toda todos todas otra otro vez cada desde hace frente cerca al
    lado necesito necesitamos pueden puede quiero arreglar arreglen roto rota rotas rotos"""
)  # fmt: skip


_LITTLE: Final = {"en": _ENGLISH, "es": _SPANISH_WORDS}
_ENOUGH_WORDS: Final = 3
_FOREIGN_FROM: Final = 0.35


@dataclass(frozen=True, slots=True)
class Guess:
    """A language code and how sure: 1 certain, 0 undetermined."""

    language: str
    confidence: float


def identify(reading: Reading, languages: Sequence[str], *, default: str) -> Guess:
    """Finds the language of a text among `languages`; `default` with confidence 0 where nothing tells.

    A text in a script that none of them uses is undetermined: transliterations are not guessed at.
    """
    text = reading.folded
    latin = len(_LATIN.findall(text))
    arabic = cyrillic = 0
    if not text.isascii():
        arabic, cyrillic = len(_ARABIC.findall(text)), len(_CYRILLIC.findall(text))
    letters = latin + arabic + cyrillic
    if letters < 2:
        return Guess(default, 0.0)
    if arabic / letters >= _SCRIPT_SHARE:
        return _among(reading, _of_script(languages, "arabic"), default)
    if cyrillic / letters >= _SCRIPT_SHARE:
        return _cyrillic(reading, _of_script(languages, "cyrillic"), default)
    return _latin(reading, _of_script(languages, "latin"), default)


def _of_script(languages: Sequence[str], script: str) -> tuple[str, ...]:
    if script == "latin":
        return tuple(code for code in languages if not any(code in codes for codes in _SCRIPTS.values()))
    return tuple(code for code in languages if code in _SCRIPTS[script])


def _cyrillic(reading: Reading, candidates: tuple[str, ...], default: str) -> Guess:
    """Tells Kazakh from Russian: Kazakh letters speak for Kazakh, but a Russian sentence may name a Kazakh street, so little words outvote them."""
    if "kk" not in candidates or "ru" not in candidates:
        return _among(reading, candidates, default)
    russian, kazakh = _count(reading, _RUSSIAN), _kazakh_words(reading)
    if _KAZAKH_ONLY.search(reading.folded) and not _UKRAINIAN.search(reading.folded):
        marked = sum(_KAZAKH.search(word) is not None for word in reading.words)
        kazakh += marked
        if not russian or marked * 2 >= len(reading.words):
            return Guess("kk", 1.0)
    if kazakh >= russian + 1:
        return Guess("kk", 0.9)
    if russian >= kazakh + 1:
        return Guess("ru", 0.95)
    return _among(reading, candidates, default)


def _kazakh_words(reading: Reading) -> float:
    found = 0.0
    for word in reading.words:
        if word in _KAZAKH_WORDS and word not in _RUSSIAN:
            found += 1
        elif len(word) > 5 and _KAZAKH_ENDING.search(word):
            found += 0.5
    return found


def _latin(reading: Reading, candidates: tuple[str, ...], default: str) -> Guess:
    if "en" in candidates and "es" in candidates:
        english, spanish = _count(reading, _ENGLISH), _count(reading, _SPANISH_WORDS)
        if _SPANISH.search(reading.folded):
            spanish += 2
        if abs(english - spanish) >= max(2, 0.1 * len(reading.words)):
            return Guess("en" if english > spanish else "es", 0.98)
    if (
        len(candidates) == 1
        and len(reading.words) >= _ENOUGH_WORDS
        and not _count(reading, _LITTLE.get(candidates[0], frozenset()))
    ):
        # The only language of this script need not be the one: Uzbek in Latin letters is no English.
        language, confidence = _identifier(()).classify(reading.plain)
        if language != candidates[0] and confidence >= _FOREIGN_FROM:
            return Guess(default, 0.0)
    return _among(reading, candidates, default)


def _count(reading: Reading, words: frozenset[str]) -> int:
    return sum(word in words for word in reading.words)


def _among(reading: Reading, candidates: tuple[str, ...], default: str) -> Guess:
    if not candidates:
        return Guess(default, 0.0)
    if len(candidates) == 1:
        return Guess(candidates[0], 0.8)
    identifier = _identifier(candidates)
    if not identifier.nb_classes:
        return Guess(candidates[0] if default not in candidates else default, 0.3)
    language, confidence = identifier.classify(reading.plain)
    return Guess(str(language), float(confidence))


_loading = threading.Lock()


@lru_cache(maxsize=1)
def _library() -> Any:
    # Loaded at the first doubtful text: its tables take 60 MB that a process without analyses can do without.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=64)
def _identifier(candidates: tuple[str, ...]) -> Any:
    """Gives the library restricted to `candidates` (none: all it knows); codes it does not know are left out."""
    with _loading:
        if not candidates:
            return _library()
        restricted = copy.copy(_library())
        known = set(restricted.labels)
        restricted.set_languages([code for code in candidates if code in known])
    return restricted
