"""Which encoding a file has: stated, marked by its first bytes, or found by looking through it once.

Our own rules and no library: of five encodings three give themselves away (a mark, NUL bytes, valid UTF-8), and the
other two differ in whether words are written wholly in letters above ASCII (Russian) or only here and there (German,
French). A general detector weighs a hundred encodings and answers some other one for a short file.
"""

import codecs
import re
import zlib
from collections.abc import Iterator
from typing import IO, Final

from civicpulse.base.tables.shapes import Unreadable

PIECE: Final = 1 << 16  # bytes
MARKS: Final = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
DAMAGED: Final = (EOFError, OSError, zlib.error)  # what a packed file raises that was cut short
KEEP: Final = "civicpulse.keep"

_STATED: Final = {
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "ascii": "utf-8",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "cp1251": "cp1251",
    "cp1252": "cp1252",
    "iso8859-1": "cp1252",  # as browsers read it
}
_ASCII: Final = bytes(range(128))
_WORD: Final = re.compile(rb"[A-Za-z\x80-\xff]+")
_LATIN: Final = re.compile(rb"[A-Za-z]")
_ENOUGH_WORDS: Final = 50_000
_HEAD: Final = 4096
_LEAST_NULS: Final = 0.05  # share of a UTF-16 file's bytes: its delimiters and digits alone are more


def _keep(error: UnicodeError) -> tuple[str, int]:
    """Puts a surrogate in the place of each byte that is no character, as `surrogateescape` does for some encodings."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(KEEP, _keep)


def known_encoding(name: str) -> str:
    """Finds the encoding that people mean by a name such as "windows-1252" or "UTF8". Raises ValueError naming the choices."""
    try:
        return _STATED[codecs.lookup(name).name]
    except (LookupError, KeyError, ValueError) as error:
        choices = "utf-8, utf-16, cp1251 (windows-1251), cp1252 (windows-1252)"
        raise ValueError(f"{name!r} is no encoding that is read here: write one of {choices}") from error


def marked_encoding(file: IO[bytes]) -> str | None:
    """Finds the encoding that the file's byte-order mark names."""
    file.seek(0)
    start = _read(file, 4)
    if start in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        raise Unreadable("The file is UTF-32: save it as UTF-8 and send that.")
    return next((name for name, mark in MARKS.items() if start.startswith(mark)), None)


def wide_encoding(file: IO[bytes]) -> str | None:
    """Finds the byte order of a UTF-16 file without a mark, by where its NUL bytes stand; None for any other text.

    Raises Unreadable for a file that holds so many of them elsewhere that it is no text.
    """
    file.seek(0)
    head = _read(file, _HEAD)
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if even + odd < max(2, len(head) * _LEAST_NULS):
        return None
    if even and odd:
        raise Unreadable("The file is no text: save the table as CSV (UTF-8) or xlsx and send that.")
    return "utf-16-be" if even else "utf-16-le"


def found_encoding(file: IO[bytes]) -> str:
    """Decides between UTF-8, Windows-1251 and Windows-1252, by the whole file.

    It is UTF-8 as long as more of its bytes above ASCII are valid UTF-8 than are not: one bad byte changes nothing.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    high = valid = cyrillic = latin = 0
    for piece in _pieces(file):
        above = len(piece.translate(None, _ASCII))
        text = decoder.decode(piece)
        if not above and text.isascii():
            continue
        high += above
        valid += len(text.encode().translate(None, _ASCII))
        if high > valid and cyrillic + latin < _ENOUGH_WORDS:
            more = _words(piece)
            cyrillic, latin = cyrillic + more[0], latin + more[1]
    if 2 * valid >= high:
        return "utf-8"
    return "cp1251" if cyrillic > latin else "cp1252"


def _words(piece: bytes) -> tuple[int, int]:
    """Counts how many words are written wholly above ASCII (single letters do not count), and how many only in part."""
    wholly = partly = 0
    for word in _WORD.findall(piece):
        above = word.translate(None, _ASCII)
        if not above:
            continue
        if _LATIN.search(word):
            partly += 1
        elif len(word) > 1:
            wholly += 1
    return wholly, partly


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := _read(file, PIECE):
        yield piece


def _read(file: IO[bytes], size: int) -> bytes:
    """Reads the next bytes; of a packed file that was cut short, what there is: the records say where it ends."""
    try:
        return file.read(size)
    except DAMAGED:
        return b""
