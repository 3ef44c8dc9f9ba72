"""Tone of a text: a lexicon of stems in five languages, negation and emoji.

Naming a fault is not a tone: "street light out" is neutral. Anger, fear, thanks and praise are. `*` ends a stem.
"""

import re
from functools import lru_cache
from typing import Final

from civicpulse.triage.analysis import Sentiment
from civicpulse.triage.words import Reading, fold, word_set

_POSITIVE: Final = {
    "en": """thank thanks thankful grateful appreciat* excellent great good nice lovely wonderful amazing awesome fantastic
        perfect* happy glad pleased satisfied love loved kind friendly helpful polite professional quick quickly prompt* best better
        improved beautiful* congratulat* bravo kudos impressed superb outstanding efficient* courteous recommend*
        resolved fixed works smooth* clean safe""",
    "ru": """спасибо благодар* признател* отличн* прекрасн* замечател* хорош* молодц* молодец рад рада рады доволен довольн*
        супер классн* быстр* оперативн* вежлив* приятн* понравил* нравит* удобн* любим* лучш* красив* чист* аккуратн* помогли
        выручил* исправили починили решили восхит* безупречн* профессионал* дружелюбн* отзывчив*""",
    "kk": """рахмет рахметтер рақмет ризамын риза жақсы жаксы тамаша керемет әдемі адемі адеми ұнады унады ұнайды унайды қуаныш*
        куаныш* сыпайы жылдам алғыс* алгыс* мақта* макта* ыңғайлы ынгайлы сапалы таза жарайсыз* жарайсындар
        жөндеді көмектесті комектести шешілді бақытты мейірімді кәсіби""",
    "ar": """شكرا شكر اشكر* نشكر* ممتاز* رائع* جميل* جيد* سعيد* سعداء ممتن* احسنت* مشكور* راض* افضل سريع* لطيف* مهذب* محترف*
        متعاون* يعطيكم العافيه بارك جزاكم نظيف* مرتاح* اعجبن* مميز* مثالي*""",
    "es": """gracias agradec* excelente* buen buena bueno buenos buenas bien genial estupend* maravillos* fantastic* fantástic*
        perfect* feliz felices content* satisfech* encant* amable* rapid* rápid* mejor mejores eficiente* eficaz felicit*
        bonit* lind* hermos* profesional* educad* limpio limpia segur* arreglaron solucionaron recomiendo""",
}  # fmt: skip
_NEGATIVE: Final = {
    "en": """terrible horribl* awful worst bad worse disgust* unacceptabl* ridiculous* angry furious outrag* sham* pathetic
        useless incompeten* rude ignored ignoring ignore neglect* dangerous* unsafe hazard* scared scary afraid fear* worried worry
        worrying frighten* frustrat* annoy* disappoint* hate hated complain* nightmare filthy stink* stench smelly gross nobody never
        still again tired sick appalling* poor poorly fail failed failing fails fraud* scam* steal stole* stolen thief lied lying cheat*
        unbearable intolerab* sick threat* demand lawsuit sue injured hurt fell accident kill killed killing die died dying urgent*
        impossible wrong problem problems mess broken awfully speeding reckless* blatant* insane crazy absurd careless*""",
    "ru": """ужас* кошмар* отвратител* плох* худш* хуже безобрази* возмут* возмущ* позор* стыд* хамств* хам* груб* бездейств*
        игнорир* наплевать плева* опасн* страшн* боюсь боимся боятся бояться надоел* достал* разочаров* ненавижу жалоб* жалу*
        невозможн* невыносим* вонь вонищ* воня* гряз* мерзк* мошен* обман* укра* воров* ворую* угрож* требую требуем суд
        прокуратур* претензи* некомпетент* издева* недопустим* неприемлем* верните нарушен* наруша* упал* травм* пострадал* авари* погиб*
        убива* никто никогда опять снова беспредел* халатн* бардак проблем* срочн* ущерб* беспоко*""",
    "kk": """жаман нашар сұмдық сумдык масқара маскара ұят уят қорқынышты коркынышты қорқамын коркамын қорқады қауіпт* кауипт*
        ренжі* ренжи* ашулан* шағым* шагым* наразы* ызала* шаршады* шаршады жиіркен* иіс* сасық* сасык* лас кір алаяқ* алаяк* алдады
        алдап ұрла* урла* дөрекі дореки ешкім ешким ешқашан ешкашан тағы тагы төзуге талап зардап жарақат* жаракат*
        құлап кулап өлім мәселе проблема* бұзған* салғырт* немқұрайлы* шыдам* қиын киын жауапсыз* """,
    "ar": """سيء* سيي* اسوا فظيع* مروع* مقرف* مقزز* كارث* خطر* خطير* خطوره خايف* خاءف* نخاف اخاف مخيف* غاضب* غضب* مستاء*
        استياء محبط* احباط شكوي نشتكي اشتكي* اهمال مهمل* تجاهل* يتجاهل* عار فضيح* احتيال* نصب* سرق* مسروق* كذب* وقح* قذر* قذاره
        كريه* مزعج* ازعاج مستحيل مشكل* معانا* نعاني تعبنا مللنا فشل فاشل* ضرر اصيب* اصاب* حادث* عاجل* تهديد*""",
    "es": """terrible* horribl* pésim* pesim* mal mala malo malos malas peor peores asco asqueros* inaceptable* vergüenza verguenz*
        vergonzos* indignant* indignad* furios* enojad* enfadad* hart* cansad* inútil* inutil* incompetent* grosser* maleducad* groser*
        ignoran ignorad* peligr* insegur* miedo asustad* preocup* frustrad* molest* decepcion* odio queja* quej* pesadilla suci*
        apest* hedor fraude* estafa* robo robaron roban ladr* mentir* engañ* insoportable* intolerable* imposible denunci* demand*
        accidente* herid* lastim* caí cayó problema* urgente* abandono nadie nunca desastre*""",
}  # fmt: skip
_WEAK: Final = word_set(
    """nobody never still again problem problems broken fell accident clean safe works fixed resolved никто никогда опять снова
    проблем* чист* упал* авари* тағы тагы ешкім ешким мәселе проблема* таза құлап кулап مشكل* نظيف* حادث* nadie nunca problema*
    limpio limpia cayó caí bien good well better quick quickly быстр* тез лучш* mejor mejores segur* rapid* rápid* wrong
    urgent* срочн* urgente* عاجل* poor thank thanks спасибо рахмет рахметтер рақмет شكرا gracias"""
)  # fmt: skip
_BEFORE: Final = word_set(
    """not no never don't doesn't didn't isn't aren't wasn't weren't can't cannot won't wouldn't without hardly не нет ни без
    нельзя no ni sin nunca jamás tampoco لا ليس ليست لم لن ما غير بدون دون لست"""
)  # fmt: skip
_AFTER: Final = word_set("емес жоқ жок")
_EMOJI_GOOD: Final = re.compile("[😀😃😄😁😊🙂🥰😍👍👏🙏❤💚💙🎉😇🤗☺💪]|:\\)|:-\\)|:D")
_EMOJI_BAD: Final = re.compile("[😡😠🤬😢😭😞😟😤👎💩🤮🤢😱😨😰💔😒🙄☹]|:\\(|:-\\(|>:\\(")
_REACH: Final = 3  # words that a negation in front reaches
_STEM: Final = 24
_SHORT: Final = 3  # words: "Thank you!" is praise, "hole in the road, thanks" is manners


def _lexicon() -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Reads (whole words, stems) by language, each with its weight: negative below 0."""
    whole: dict[str, dict[str, float]] = {}
    stems: dict[str, dict[str, float]] = {}
    for lists, sign in ((_POSITIVE, 1.0), (_NEGATIVE, -1.0)):
        for language, text in lists.items():
            for entry in text.split():
                weight = sign * (0.5 if entry in _WEAK else 1.0)
                table = stems if entry.endswith("*") else whole
                table.setdefault(language, {})[fold(entry.rstrip("*"))] = weight
    return whole, stems


_WHOLE, _STEMS = _lexicon()


@lru_cache(maxsize=100_000)
def _weight(word: str, language: str) -> float:
    weight = _WHOLE[language].get(word)
    if weight is not None:
        return weight
    stems = _STEMS[language]
    ends = range(min(len(word), _STEM), 2, -1)
    return next((stems[word[:end]] for end in ends if word[:end] in stems), 0.0)


def sentiment_of(reading: Reading, language: str) -> Sentiment:
    """Tells positive, neutral and negative apart. Languages without a lexicon of their own are judged by emoji alone."""
    total = 0.0
    if language in _WHOLE:
        total = _words_total(reading.words, language)
    if not reading.plain.isascii() or ":" in reading.plain:
        total += len(_EMOJI_GOOD.findall(reading.plain)) - len(_EMOJI_BAD.findall(reading.plain))
    if total < 0 and "!!" in reading.plain:
        total -= 0.5
    if total >= (0.5 if len(reading.words) <= _SHORT else 1):
        return "positive"
    return "negative" if total <= -1 else "neutral"


def _words_total(words: list[str], language: str) -> float:
    total = 0.0
    for index, word in enumerate(words):
        weight = _weight(word, language)
        if weight == 0.0:
            continue
        if _is_negated(words, index):
            # "not good" is bad; "not dangerous" is no praise.
            weight = -1.0 if weight > 0 else 0.0
        total += weight
    return total


def _is_negated(words: list[str], index: int) -> bool:
    before = words[max(0, index - _REACH) : index]
    return not _BEFORE.isdisjoint(before) or not _AFTER.isdisjoint(words[index + 1 : index + 2])
