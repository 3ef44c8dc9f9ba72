"""The reason of a distribution as one sentence, in Russian, Kazakh and English."""

from collections.abc import Mapping, Sequence

TEXTS: Mapping[str, Mapping[str, str]] = {
    "ru": {
        "nearest": "Ближайший к клиенту офис — {office} ({km} км)",
        "nearest_seat": "Населённый пункт клиента не найден; ближайший к центру его области офис — {office}, расстояние до клиента неизвестно",
        "foreign": "Адрес за рубежом ({country}): по очереди между офисами {split} выбран офис {office}",
        "unknown": "Адрес клиента не определён: по очереди между офисами {split} выбран офис {office}",
        "nowhere": "Адрес клиента не определён, а офисов для таких обращений нет",
        "no_offices": "Нет ни одного офиса с известным адресом",
        "kept": "Обращения типа «{category}» никому не назначаются",
        "needs": "требуется {needs}",
        "no_needs": "особых требований нет",
        "skill": "навык {skill} ({field} {value})",
        "positions": "должность «{positions}» ({field} {value})",
        "next": "там подходящих менеджеров нет, поэтому взят следующий по расстоянию от него офис {office} ({km} км)",
        "next_far": "там подходящих менеджеров нет, поэтому взят другой офис {office}",
        "turn": "из двух наименее загруженных ({pair}) очередь менеджера {manager}",
        "lowest": "наименее загружен {manager} (в работе {load})",
        "single": "единственный подходящий менеджер — {manager} (в работе {load})",
        "nobody_here": "там подходящих менеджеров нет, обращение не назначено",
        "nobody": "подходящих менеджеров нет ни в одном из офисов ({tried}), обращение не назначено",
        "unassigned": "обращение не назначено",
        "segment": "сегмент",
        "category": "тип",
        "language": "язык",
        "and": " и ",
        "or": " или ",
    },
    "kk": {
        "nearest": "Клиентке ең жақын кеңсе — {office} ({km} км)",
        "nearest_seat": "Клиенттің елді мекені табылмады; облыс орталығына ең жақын кеңсе — {office}, клиентке дейінгі қашықтық белгісіз",
        "foreign": "Мекенжай шетелде ({country}): {split} кеңселері арасында кезекпен {office} кеңсесі таңдалды",
        "unknown": "Клиенттің мекенжайы анықталмады: {split} кеңселері арасында кезекпен {office} кеңсесі таңдалды",
        "nowhere": "Клиенттің мекенжайы анықталмады, ал мұндай өтініштерге арналған кеңсе жоқ",
        "no_offices": "Мекенжайы белгілі бірде-бір кеңсе жоқ",
        "kept": "«{category}» түріндегі өтініштер ешкімге тағайындалмайды",
        "needs": "қажет: {needs}",
        "no_needs": "ерекше талаптар жоқ",
        "skill": "{skill} дағдысы ({field} {value})",
        "positions": "«{positions}» лауазымы ({field} {value})",
        "next": "онда лайықты менеджер жоқ, сондықтан одан қашықтығы бойынша келесі {office} кеңсесі алынды ({km} км)",
        "next_far": "онда лайықты менеджер жоқ, сондықтан басқа {office} кеңсесі алынды",
        "turn": "жүктемесі ең аз екеуінің ({pair}) ішінен кезек {manager} менеджерінде",
        "lowest": "жүктемесі ең аз — {manager} (жұмыста {load})",
        "single": "жалғыз лайықты менеджер — {manager} (жұмыста {load})",
        "nobody_here": "онда лайықты менеджер жоқ, өтініш тағайындалмады",
        "nobody": "бірде-бір кеңседе ({tried}) лайықты менеджер жоқ, өтініш тағайындалмады",
        "unassigned": "өтініш тағайындалмады",
        "segment": "сегмент",
        "category": "түрі",
        "language": "тіл",
        "and": " және ",
        "or": " немесе ",
    },
    "en": {
        "nearest": "The office nearest to the customer is {office} ({km} km)",
        "nearest_seat": "The customer's town was not found; the office nearest to the seat of their region is {office}, how far from them is unknown",
        "foreign": "The address is abroad ({country}): in turn between {split} it is office {office}",
        "unknown": "The customer's address is unknown: in turn between {split} it is office {office}",
        "nowhere": "The customer's address is unknown and there is no office for such tickets",
        "no_offices": "There is no office with a known address",
        "kept": "Tickets of the type “{category}” are given to nobody",
        "needs": "it takes {needs}",
        "no_needs": "nothing special is required",
        "skill": "the skill {skill} ({field} {value})",
        "positions": "the position “{positions}” ({field} {value})",
        "next": "nobody there may take it, so it goes to {office}, the next office by distance from there ({km} km)",
        "next_far": "nobody there may take it, so it goes to another office, {office}",
        "turn": "of the two least loaded ({pair}) it is the turn of {manager}",
        "lowest": "{manager} has the lowest load ({load} in work)",
        "single": "{manager} is the only one who may ({load} in work)",
        "nobody_here": "nobody there may take it, so it stays unassigned",
        "nobody": "nobody in any of the offices ({tried}) may take it, so it stays unassigned",
        "unassigned": "it stays unassigned",
        "segment": "segment",
        "category": "type",
        "language": "language",
        "and": " and ",
        "or": " or ",
    },
}


def texts_of(language: str) -> Mapping[str, str]:
    """Finds the phrases of a language, of its base language, else the English ones."""
    return TEXTS.get(language) or TEXTS.get(language.split("-")[0]) or TEXTS["en"]


def joined(words: Sequence[str], last: str) -> str:
    """Writes "a, b and c", with `last` before the last one."""
    return last.join(([", ".join(words[:-1])] if words[1:] else []) + list(words[-1:]))


def sentence(parts: Sequence[str]) -> str:
    """Makes one sentence of its parts, which hold no full stop of their own."""
    return f"{'; '.join(parts)}."
