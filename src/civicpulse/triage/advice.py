"""What staff should do with a report: the category's own words from the pack, else a sentence of the house."""

from typing import Final

from civicpulse.packs.model import Category, Pack

_GENERAL: Final = {
    "en": "Pass to {group}: {category}.",
    "ru": "Передать в «{group}»: {category}.",
    "kk": "«{group}» бөліміне беру: {category}.",
    "ar": "يُحال إلى «{group}»: {category}.",
    "es": "Derivar a {group}: {category}.",
}
_URGENT: Final = {
    "en": "Urgent: act at once.",
    "ru": "Срочно: действовать немедленно.",
    "kk": "Шұғыл: дереу әрекет ету қажет.",
    "ar": "عاجل: يجب التصرف فورًا.",
    "es": "Urgente: actuar de inmediato.",
}
_UNSURE: Final = {
    "en": "The category is a guess: check it first.",
    "ru": "Категория определена неуверенно: сначала проверьте её.",
    "kk": "Санат нақты емес: алдымен тексеріңіз.",
    "ar": "الفئة تقديرية: تحققوا منها أولًا.",
    "es": "La categoría es una suposición: compruébela primero.",
}
URGENT_FROM: Final = 9


def recommend(pack: Pack, category: Category, *, priority: int, needs_person: bool) -> str:
    """Writes one to three sentences for staff, in the pack's own language: it is staff that reads them, not the reporter."""
    language = pack.document.language
    spoken = language.split("-")[0]
    own = category.recommendations.get(language) or category.recommendations.get(spoken)
    words = own or _in(_GENERAL, spoken).format(group=category.group, category=category.name_in(language))
    parts = [_in(_URGENT, spoken)] if priority >= URGENT_FROM else []
    parts.append(words)
    if needs_person:
        parts.append(_in(_UNSURE, spoken))
    return " ".join(parts)


def _in(sentences: dict[str, str], language: str) -> str:
    return sentences.get(language, sentences["en"])
