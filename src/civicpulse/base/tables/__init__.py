"""The one reader of tables that people hand in: CSV in whatever encoding and with whatever delimiter, gzip, XLSX."""

from civicpulse.base.tables.encodings import known_encoding
from civicpulse.base.tables.numbers import read_number
from civicpulse.base.tables.reading import open_table
from civicpulse.base.tables.shapes import (
    Layout,
    Notice,
    Record,
    Table,
    Unreadable,
    find_column,
    folded_header,
)

__all__ = [
    "Layout",
    "Notice",
    "Record",
    "Table",
    "Unreadable",
    "find_column",
    "folded_header",
    "known_encoding",
    "open_table",
    "read_number",
]
