"""Words that stand beside personal data, as parts of patterns: in English, Russian, Kazakh, Spanish, German and Arabic."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """Words as parts of a pattern. `hints`, in lower case: where none of them is in a text, none of the words is."""

    words: tuple[str, ...]
    hints: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """The words as one alternative."""
        return "|".join(self.words)


NAME_LEADS: Final = Words(
    (
        "my name is", "my name's", "full name", "your name", "меня зовут", "мо[её] имя", "мои фио", "фио", r"ф\.и\.о\.?",
        "менің атым", "менің есімім", "аты-жөнім", "аты-жөні", "me llamo", "mi nombre es", "nombre y apellidos?",
        "mein name ist", "ich heiße", "ich heisse", "اسمي", "الاسم الكامل", "الاسم",
    ),
    (
        "name", "зовут", "имя", "фио", "ф.и", "атым", "есім", "аты-ж", "llamo", "nombre", "heiß", "heiss", "اسم",
    ),
)  # fmt: skip

# What stands before a name at the beginning of a line, in forms and in mail.
LABELS: Final = Words(
    (
        "name", "from", "customer", "contact(?: person)?", "имя", "от(?: кого)?", "отправитель", "клиент", "заявитель",
        "аты", "nombre", "de", "von", "kontakt", "kunde", "absender", "الاسم", "من",
    ),
    (),
)  # fmt: skip

# Small words that may follow "my name is" and are nobody's name.
NO_NAMES: Final = Words(
    (
        "on", "in", "at", "not", "the", "an?", "and", "missing", "wrong", "misspell?ed", "spelt", "written", "listed",
        "your", "my", "не", "на", "в", "по", "и", "это", "указан[оа]?", "написан[оа]?", "ist", "nicht", "falsch", "auf",
        "no", "está", "mal", "en", "es",
    ),
    (),
)  # fmt: skip

CLOSINGS: Final = Words(
    (
        "(?:(?:best|kind|warm|kindest|warmest|many|with) )?regards", "best wishes", "all the best",
        "yours(?: (?:sincerely|faithfully|truly))?", "sincerely(?: yours)?", "respectfully(?: yours)?", "cordially",
        "signed(?: by)?", "с (?:большим |глубоким |искренним )?уважением", "с наилучшими пожеланиями", "с благодарностью",
        "искренне ваш[а]?", "подпись", "құрметпен", "ізгі ниетпен", "алғыспен", "atentamente",
        "(?:un (?:cordial )?)?saludos?(?: cordial(?:es)?)?", "cordialmente", "un abrazo", "firmado",
        "mit (?:freundlichen|besten|lieben|herzlichen) grü(?:ß|ss)en", "mit freundlichem gru(?:ß|ss)",
        "(?:viele|liebe|beste|schöne|herzliche) grü(?:ß|ss)e", "mfg", "lg", "vg", "hochachtungsvoll", r"gez\.?",
        "مع (?:خالص )?(?:التحية|تحياتي|الشكر|الاحترام)", "تحياتي", "وتفضلوا بقبول فائق الاحترام", "المرسل", "توقيع",
    ),
    (
        "regards", "wishes", "all the best", "yours", "sincere", "respectful", "cordial", "signed", "уважением",
        "пожелани", "благодарностью", "искренне", "подпись", "құрметпен", "ниетпен", "алғыспен", "atentamente", "saludo",
        "abrazo", "firmado", "grü", "gru", "mfg", "lg", "vg", "hochacht", "gez", "تحيات", "التحية", "الاحترام", "المرسل",
        "توقيع",
    ),
)  # fmt: skip

# Closings only where a name is the last that is said: "Thank you, Boston!" in the middle greets.
THANKS: Final = Words(
    (
        "thanks(?: in advance| a lot)?", "thank you(?: very much| in advance)?", "cheers",
        "(?:заранее )?(?:спасибо|благодарю|благодарна|благодарен)(?: заранее)?", "рахмет", "рақмет", "алғыс айтамын",
        "(?:muchas )?gracias", "(?:vielen )?dank(?: im voraus)?", "danke", "شكرا(?: لكم)?",
    ),
    (
        "thank", "cheers", "спасибо", "благодар", "рахмет", "рақмет", "алғыс", "gracias", "dank", "شكرا",
    ),
)  # fmt: skip

TITLES: Final = Words(
    (
        r"Mr\.?", r"Mrs\.?", r"Ms\.?", "Herrn?", "Frau", r"Sra?\.", "Señora?", "г-н", "г-жа", "господин[а]?",
        "госпож[аи]", "гражданин", "гражданка", "السيد", "السيدة",
    ),
    (
        "mr", "ms", "herr", "frau", "sr", "señor", "г-", "господин", "госпож", "граждан", "السيد",
    ),
)  # fmt: skip

PHONE_WORDS: Final = Words(
    (
        "phone", "call", "tel", "mobile", "cell", "whats ?app", "viber", "тел", "звон", "моб", "сот", "ватсап", "вотсап",
        "вайбер", "хабарлас", "ұялы", "қоңырау", "هاتف", "جوال", "اتصل", "رقمي", "موبايل", "llam", "móvil", "celular",
        "handy", "rufnummer", "ruf mich", "anruf", "fax", "факс",
    ),
    (
        "phone", "call", "tel", "mobile", "cell", "whats", "viber", "тел", "звон", "моб", "сот", "ватсап", "вотсап",
        "вайбер", "хабарлас", "ұялы", "қоңырау", "هاتف", "جوال", "اتصل", "رقمي", "موبايل", "llam", "móvil", "celular",
        "handy", "ruf", "fax", "факс",
    ),
)  # fmt: skip

# A number after one of these is the city's own, and says who to nobody.
CASE_WORDS: Final = Words(
    (
        "case", "request", "ticket", "report", "complaints?", "incident", "sr", "work order", "order", "invoice", "заявк",
        "заявлени", "обращени", "запрос", "тикет", "талон", "жалоб", "заказ", r"исх\.?", r"вх\.?", "өтініш", "өтінім",
        "шағым", "тапсырыс", "caso", "solicitud", "expediente", "reclamo", "queja", "pedido", "folio", "fall", "vorgang",
        "meldung", "anfrage", "antrag", "aktenzeichen", r"az\.?", "auftrag", "bestellung", "bestell", "بلاغ", "طلب",
        "شكوى", "تذكرة", "معاملة",
    ),
    (),
)  # fmt: skip

CONTRACT_WORDS: Final = Words(
    (
        "contract", "agreement", "policy number", "policy no", r"customer (?:number|no\.?|id)",
        r"client (?:number|no\.?|id)", r"договор\w{0,3}", r"контракт\w{0,3}", r"полис\w{0,3}",
        r"лицев\w{2,3} сч[её]т\w{0,2}", r"клиентск\w{2,3} номер", r"шарт\w{0,6}", r"келісім-?шарт\w{0,6}", "contrato",
        "póliza", "número de cliente", r"vertrag\w{0,8}", "vertragsnummer", "kundennummer", "versicherungsnummer", "عقد",
        "العقد", "وثيقة التأمين",
    ),
    (
        "contract", "agreement", "policy", "customer", "client", "договор", "контракт", "полис", "лицев", "клиентск",
        "шарт", "contrato", "póliza", "cliente", "vertrag", "nummer", "عقد", "وثيقة",
    ),
)  # fmt: skip

ADDRESS_LEADS: Final = Words(
    (
        "(?:i|we) (?:live|reside|am living|are living)(?: at| in| on)?", "i'm living at",
        "my (?:home |house )?address(?: is)?", "my (?:house|home|flat|apartment) is(?: at| on)?", "home address(?: is)?",
        "(?:я|мы) (?:живу|жив[её]м|проживаю|проживаем)(?: по адресу| на| в)?", "(?:живу|проживаю)(?: по адресу| на| в)?",
        "мой (?:домашний )?адрес", "домашний адрес", "адрес проживания", "прописан[а]?(?: по адресу| на| в)?", "мой дом",
        "(?:менің )?мекен-?жайым", "үй мекенжайым", "(?:yo )?vivo en", "vivimos en", "mi (?:dirección|domicilio)(?: es)?",
        "domiciliad[oa] en", "(?:ich|wir) wohnen? (?:in|an|am|auf)(?: der| dem)?",
        "meine (?:adresse|anschrift)(?: ist| lautet)?", "wohnhaft(?: in)?", "أ?سكن في", "أعيش في", "عنواني(?: هو)?",
        "عنوان منزلي",
    ),
    (
        "live", "reside", "living", "address", "my ", "прожива", "живу", "жив", "адрес", "прописан", "мой дом", "мекен",
        "vivo", "vivimos", "mi ", "domicili", "wohn", "adresse", "anschrift", "سكن", "عيش", "عنوان",
    ),
)  # fmt: skip

LIVING_AFTER: Final = Words(
    (
        "тұрамын", "тұрамыз", "тұрып жатырмын",
    ),
    (
        "тұр",
    ),
)  # fmt: skip

# Small words within an address, where every other word begins with a capital or a digit.
ADDRESS_WORDS: Final = Words(
    (
        "street", "st", "avenue", "ave", "road", "rd", "drive", "lane", "court", "boulevard", "blvd", "apt", "apartment",
        "unit", "flat", "floor", "number", "no", "suite", "house", "ул", "улиц[аеуы]", "пр", "пр-т", "пр-кт",
        "проспект[еа]?", "пер", "переул(?:ок|ке)", "д", "дом[е]?", "кв", "квартир[аеы]", "корп", "корпус[е]?", "мкр",
        "микрорайон[е]?", "г", "гор", "город[е]?", "подъезд", "этаж", "бульвар[е]?", "шоссе", "көше(?:сі|сінде)?",
        "даңғыл(?:ы|ында)?", "үй(?:де|і)?", "пәтер(?:де)?", "ықшам ?аудан(?:ы|ында)?", "қала(?:сы|сында)?", "calle",
        "avenida", "av", "número", "núm", "piso", "puerta", "apartamento", "de", "del", "la", "las", "los", "el",
        "straße", "strasse", "str", "platz", "weg", "allee", "hausnummer", "nr", "wohnung", "der", "den", "am", "an",
        "im",
    ),
    (),
)  # fmt: skip
