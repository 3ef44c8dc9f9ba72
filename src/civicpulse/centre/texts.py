"""What a run tells of files and rows, in English, Russian and Kazakh: whoever sends a file reads its tenant's language."""

from collections.abc import Mapping
from typing import Final

TEXTS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "not_seen": "This row's ticket was here before and is outside what your role sees: ask somebody who sees it.",
        "attachment_left": "No row of the tickets names this attachment, or its ticket has it already: it was not kept.",
        "attachment_missing": "The attachment “{name}” that this row names did not come.",
        "attachment_twice": "{count} different attachments are called “{name}”: a ticket that names it gets all of them.",
        "attachment_empty": "This attachment is empty: it was not kept.",
        "attachment_large": "This attachment is larger than {mb} MB: it was not kept.",
        "too_slow": "The text takes too long to analyse: a person has to read it.",
        "kept": "{number} is “{state}”: its text was changed, its type, priority and manager were kept.",
        "office_not_found": "The office “{name}” was not found on the map: it is nobody's nearest. Write its town in the address.",
        "no_offices": "There are no offices: send them with POST /upload first.",
        "no_managers": "There are no managers: send them with POST /upload first.",
        "nobody": "There are no offices or no managers to give tickets to.",
        "office_twice": "The office “{name}” comes more than once: the last row counts.",
        "no_such_office": "There is no office “{office}”, so “{name}” was not loaded.",
        "manager_twice": "“{name}” of this office comes more than once: the last row counts.",
        "guid_twice": "The GUID {guid} stands in line {line} too: the last row counts.",
        "guid_long": "A GUID has at most {limit} characters.",
        "text_cut": "The text was cut after {limit} of {length} characters.",
        "unreadable_row": "The row cannot be read: {fault}.",
        "cell_long": "This cell has more than {limit} characters.",
        "flaw": "The row was read, but {flaw}.",
        "segments": "“{word}” is none of the tenant's segments: the rules do not know it.",
        "positions": "“{word}” is none of the tenant's positions: the rules do not know it.",
        "skills": "“{word}” is none of the tenant's skills: the rules do not know it.",
        "empty": "This cell is empty, and the row means nothing without it.",
        "load": "“{text}” is no number of tickets: write a whole number such as 3.",
        "birth_date": "“{text}” is no birth date, and the ticket was loaded without one: write it as 1990-12-31 or 31.12.1990.",
    },
    "ru": {
        "not_seen": "Обращение этой строки уже было загружено и не видно вашей роли: спросите того, кто его видит.",
        "attachment_left": "Ни одна строка обращений не называет это вложение, или оно уже есть у обращения: файл не сохранён.",
        "attachment_missing": "Вложение «{name}», указанное в строке, не передано.",
        "attachment_twice": "Разных вложений с именем «{name}»: {count}. Обращение, которое его называет, получит все.",
        "attachment_empty": "Вложение пустое: файл не сохранён.",
        "attachment_large": "Вложение больше {mb} МБ: файл не сохранён.",
        "too_slow": "Текст слишком долго анализируется: его должен прочитать человек.",
        "kept": "{number} в состоянии «{state}»: текст изменён, тип, приоритет и менеджер остались прежними.",
        "office_not_found": "Офис «{name}» не найден на карте и ни для кого не будет ближайшим. Укажите в адресе населённый пункт.",
        "no_offices": "Офисов нет: сначала передайте их через POST /upload.",
        "no_managers": "Менеджеров нет: сначала передайте их через POST /upload.",
        "nobody": "Нет офисов или менеджеров, которым можно назначить обращения.",
        "office_twice": "Офис «{name}» встречается несколько раз: учтена последняя строка.",
        "no_such_office": "Офиса «{office}» нет, поэтому «{name}» не загружен.",
        "manager_twice": "«{name}» этого офиса встречается несколько раз: учтена последняя строка.",
        "guid_twice": "GUID {guid} есть и в строке {line}: учтена последняя строка.",
        "guid_long": "В GUID может быть не больше {limit} знаков.",
        "text_cut": "Текст обрезан после {limit} знаков из {length}.",
        "unreadable_row": "Строку нельзя прочитать: {fault}.",
        "cell_long": "В ячейке больше {limit} знаков.",
        "flaw": "Строка прочитана, но с замечанием: {flaw}.",
        "segments": "Сегмента «{word}» нет в справочнике: правила его не знают.",
        "positions": "Должности «{word}» нет в справочнике: правила её не знают.",
        "skills": "Навыка «{word}» нет в справочнике: правила его не знают.",
        "empty": "Ячейка пустая, а без неё строка ничего не значит.",
        "load": "«{text}» не похоже на число обращений: напишите целое число, например 3.",
        "birth_date": "«{text}» не похоже на дату рождения, обращение загружено без неё: пишите 1990-12-31 или 31.12.1990.",
    },
    "kk": {
        "not_seen": "Бұл жолдың өтініші бұрын жүктелген және сіздің рөліңізге көрінбейді: оны көретін адамнан сұраңыз.",
        "attachment_left": "Өтініштердің бірде-бір жолы бұл тіркемені атамайды немесе ол өтініште бар: файл сақталмады.",
        "attachment_missing": "Жолда аталған «{name}» тіркемесі келмеді.",
        "attachment_twice": "«{name}» деген әртүрлі тіркеме саны: {count}. Оны атайтын өтініш бәрін алады.",
        "attachment_empty": "Тіркеме бос: файл сақталмады.",
        "attachment_large": "Тіркеме {mb} МБ-тан үлкен: файл сақталмады.",
        "too_slow": "Мәтінді талдау тым ұзаққа созылды: оны адам оқуы керек.",
        "kept": "{number} «{state}» күйінде: мәтіні өзгертілді, түрі, басымдығы және менеджері бұрынғыдай қалды.",
        "office_not_found": "«{name}» кеңсесі картадан табылмады, ол ешкімге ең жақын болмайды. Мекенжайына елді мекенін жазыңыз.",
        "no_offices": "Кеңселер жоқ: алдымен оларды POST /upload арқылы жіберіңіз.",
        "no_managers": "Менеджерлер жоқ: алдымен оларды POST /upload арқылы жіберіңіз.",
        "nobody": "Өтініш тағайындайтын кеңсе немесе менеджер жоқ.",
        "office_twice": "«{name}» кеңсесі бірнеше рет кездеседі: соңғы жол есепке алынды.",
        "no_such_office": "«{office}» кеңсесі жоқ, сондықтан «{name}» жүктелмеді.",
        "manager_twice": "Бұл кеңсенің «{name}» менеджері бірнеше рет кездеседі: соңғы жол есепке алынды.",
        "guid_twice": "{guid} GUID-і {line}-жолда да бар: соңғы жол есепке алынды.",
        "guid_long": "GUID {limit} таңбадан аспауы керек.",
        "text_cut": "Мәтін қысқартылды: {length} таңбадан {limit} таңба қалды.",
        "unreadable_row": "Жолды оқу мүмкін емес: {fault}.",
        "cell_long": "Ұяшықта {limit} таңбадан көп.",
        "flaw": "Жол оқылды, бірақ ескерту бар: {flaw}.",
        "segments": "«{word}» сегменті анықтамалықта жоқ: ережелер оны білмейді.",
        "positions": "«{word}» лауазымы анықтамалықта жоқ: ережелер оны білмейді.",
        "skills": "«{word}» дағдысы анықтамалықта жоқ: ережелер оны білмейді.",
        "empty": "Ұяшық бос, ал онсыз жолдың мәні жоқ.",
        "load": "«{text}» өтініштер санына ұқсамайды: бүтін сан жазыңыз, мысалы 3.",
        "birth_date": "«{text}» туған күнге ұқсамайды, өтініш онсыз жүктелді: 1990-12-31 немесе 31.12.1990 деп жазыңыз.",
    },
}  # fmt: skip


# A run that ends with it was no fault of the machine.
NOBODY_TO_GIVE_TO: Final = frozenset(texts["nobody"] for texts in TEXTS.values())


def say(language: str, what: str, **values: object) -> str:
    """Says it in that language, in its base language, else in English."""
    texts = TEXTS.get(language) or TEXTS.get(language.split("-")[0]) or TEXTS["en"]
    return texts[what].format(**values)
