"""A summary by extract: the first sentence or two, without greeting, quoted mail, signature and the line breaks of mail.

Measured, this lead method scored above every ranking of sentences, and near an LLM's own summaries.
"""

import re
from typing import Final

LONGEST: Final = 160

_BLANKS = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?؟。…])\s+(?=\S)")
_HEADER = re.compile(
    r"\A(?:\s*(?:fwd?|re|fw|aw|отв|пер|from|sent|date|to|cc|subject|от|кому|дата|тема|de|para|asunto|من|إلى|الموضوع)\s*:[^\n]*\n)+",
    re.IGNORECASE,
)
_FORWARDED = re.compile(r"\A(?:\s*(?:fwd?|re|fw|aw|отв|пер)\s*:\s*)+", re.IGNORECASE)
_GREETING = re.compile(
    r"^(?:(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|dear [^\n,.!]{1,40}|to whom it may concern|"
    r"здравствуйте|добрый (?:день|вечер)|доброе утро|доброго времени суток|уважаем\w+ [^\n,.!]{1,40}|приветствую|"
    r"сәлеметсіз(?:дер)? бе|саламатсыз(?:дар)? ба|салеметсиз бе|қайырлы (?:күн|таң|кеш)|құрметті [^\n,.!]{1,40}|ассалаумағалейкум|"
    r"السلام عليكم(?: ورحمة الله(?: وبركاته)?)?|مرحبا|صباح الخير|مساء الخير|تحية طيبة|"
    r"hola|buenos días|buenos dias|buenas tardes|buenas noches|estimad\w+ [^\n,.!]{1,40})"
    r"(?: (?:there|all|team|sir|madam|коллеги|все|todos|a todos))?\s*[,.!:؛،–-]*\s*)+",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"\n\s{0,100}(?:-{2,100}\s{0,100}\n|(?:kind |best |warm )?regards\b|sincerely\b|с уважением\b|құрметпен\b|مع التحية|saludos\b|atentamente\b|"
    r"sent from my\b|отправлено (?:с|из)\b|enviado desde\b).*$",
    re.IGNORECASE | re.DOTALL,
)
# A signature in one line with the text, as tables have it.
_CLOSING = re.compile(
    r"(?<=[.!?…])\s{1,20}(?:(?:kind |best |warm )?regards|sincerely|с уважением|құрметпен|saludos|atentamente)\b[^\n.!?]{0,100}[.!]?\s*\Z",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"^[ \t]{0,20}>[^\n]*\n?", re.MULTILINE)
_QUOTE_MARK = re.compile(r"^[ \t]{0,20}>[> \t]{0,20}", re.MULTILINE)
# From here on stands the mail that is answered.
_ANSWERED = re.compile(
    r"(?:\A|\n)[ \t]{0,20}(?:[^\n]{0,200}(?:wrote|написал\w{0,3}|пишет|жазды|escribió|كتب)[ \t]{0,5}:[ \t]{0,5}(?:\n|\Z)"
    r"|-{2,20} ?(?:original message|forwarded message|исходное сообщение|пересылаемое сообщение|mensaje original)).*\Z",
    re.IGNORECASE | re.DOTALL,
)


def summarise(text: str) -> str:
    """Picks at most 160 characters of the text's own words; "" for an empty text."""
    head = text[:2000].strip()
    if "\n" in head:
        head = _SIGNATURE.sub("", _unquoted(head)).strip() or head
    head = _CLOSING.sub("", head)
    if ":" in head[:200]:
        head = _FORWARDED.sub("", _HEADER.sub("", head).strip() or head)
    joined = _BLANKS.sub(" ", head).strip()
    body = _GREETING.sub("", joined, count=1) or joined
    if len(body) <= LONGEST:
        return _capital(body)
    return _capital(_lead(body))


def _unquoted(head: str) -> str:
    """Leaves out the mail that is answered; where there is nothing else, it is what the mail says."""
    own = _ANSWERED.sub("", _QUOTED.sub("", head)).strip()
    return own or _QUOTE_MARK.sub("", head).strip()


def _lead(body: str) -> str:
    taken = ""
    for sentence in _SENTENCE_END.split(body[: LONGEST * 4]):
        longer = f"{taken} {sentence}".strip()
        if len(longer) > LONGEST:
            break
        taken = longer
    return taken or _cut(body)


def _cut(body: str) -> str:
    """Cuts between words, with the sign that there is more."""
    head = body[: LONGEST - 1]
    space = head.rfind(" ")
    return (head[:space] if space > LONGEST // 2 else head).rstrip(" ,;:،–-") + "…"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
