"""Files that people hand in, read without a database: encodings, delimiters, quotes, headers, workbooks, hostile content."""

import csv
import gzip
import io
import time
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civicpulse.base.tables import Layout, Record, Table, Unreadable, known_encoding, open_table, read_number

RUSSIAN = [["Имя", "Город"], ["Анна Ли", "Темиртау"], ["Ким", "Абай"]]
GERMAN = [["Name", "Straße"], ["Grüße", "Loch in der Straße – gefährlich"], ["Ann", "Weg 1"]]
PLAIN = "id,name\n1,one\n2,two\n"


def written(rows: Sequence[Sequence[str]], **how: Any) -> str:
    stream = io.StringIO()
    csv.writer(stream, **how).writerows(rows)
    return stream.getvalue()


def read(content: str | bytes, **how: Any) -> tuple[Table, list[Record]]:
    data = content.encode() if isinstance(content, str) else content
    with open_table(io.BytesIO(data), **how) as table:
        return table, list(table.records)


def rows(content: str | bytes, **how: Any) -> list[list[str]]:
    return [record.fields for record in read(content, **how)[1]]


def notices(content: str | bytes, **how: Any) -> list[str]:
    return [notice.message for notice in read(content, **how)[0].notices]


def workbook(*sheets: Sequence[Sequence[Any]]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    for number, cells in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Sheet {number}")
        for row in cells:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


# ---------------------------------------------------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    ("data", "encoding", "origin"),
    [
        (written(RUSSIAN).encode(), "utf-8", "found"),
        (written(RUSSIAN).encode("utf-8-sig"), "utf-8", "marked"),
        (written(RUSSIAN).encode("utf-16"), "utf-16-le", "marked"),
        (b"\xfe\xff" + written(RUSSIAN).encode("utf-16-be"), "utf-16-be", "marked"),
        (written(RUSSIAN).encode("utf-16-le"), "utf-16-le", "found"),
        (written(RUSSIAN).encode("utf-16-be"), "utf-16-be", "found"),
        (written(RUSSIAN).encode("cp1251"), "cp1251", "found"),
        (written(GERMAN).encode("cp1252"), "cp1252", "found"),
        (PLAIN.encode(), "utf-8", "found"),
        (PLAIN.encode("utf-16-le"), "utf-16-le", "found"),
        ("id,x\n1,Grüße\n".encode("cp1252"), "cp1252", "found"),
        ("id,x\n1,créée à côté\n".encode("cp1252"), "cp1252", "found"),
        ("id,x\n1,и в «ОАО» Ёж\n".encode("cp1251"), "cp1251", "found"),
    ],
)
def test_the_encoding_is_marked_or_found(data: bytes, encoding: str, origin: str) -> None:
    table, _ = read(data)
    assert (table.layout.encoding, table.layout.origin) == (encoding, origin)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251"])
def test_an_encoding_that_is_found_reads_what_was_written(encoding: str) -> None:
    table, records = read(written(RUSSIAN).encode(encoding))
    assert [table.header, *(record.fields for record in records)] == RUSSIAN
    assert not any(record.trouble for record in records)


def test_an_encoding_that_is_stated_is_taken() -> None:
    data = "id,name\n1,Å\n".encode("cp1252")
    table, records = read(data, encoding="cp1252")
    assert (table.layout.origin, records[0].fields) == ("stated", ["1", "Å"])
    assert rows("id\nЛи\n".encode("utf-16-le"), encoding="utf-16") == [["Ли"]]


def test_a_mark_wins_over_what_is_stated_and_is_told() -> None:
    data = written(RUSSIAN).encode("utf-16")
    table, records = read(data, encoding="cp1251")
    assert table.layout == Layout("utf-16-le", ",", "marked")
    assert records[0].fields == RUSSIAN[1]
    assert "byte-order mark says UTF-16" in table.notices[0].message


def test_a_layout_says_how_a_file_was_read() -> None:
    assert read(written(GERMAN).encode("cp1252"))[0].layout.name == "Windows-1252"
    assert read(workbook([["id"], ["1"]]))[0].layout.name == "XLSX"


def test_a_layout_that_is_known_is_not_looked_for_again() -> None:
    data = written(RUSSIAN, delimiter=";").encode("cp1251")
    layout = read(data)[0].layout
    assert layout == Layout("cp1251", ";", "found")
    assert rows(data, layout=layout) == RUSSIAN[1:]


@pytest.mark.parametrize(
    ("data", "how", "place"),
    [
        (b"id,name\n1,\xd0\x9b\xd0\xb8\n2,caf\xe9\n", {}, "line 3, byte 6: 0xE9 is not UTF-8"),
        ("id,name\n1,Ли\n2,Ким".encode() + b" \xff\n", {}, "line 3, byte 10: 0xFF is not UTF-8"),
        (b"id,name\n1,\xcb\xe8\n2,\x98\n", {"encoding": "cp1251"}, "line 3, byte 3: 0x98 is not Windows-1251"),
        (b"id,name\n1,x\n2,\xe9\n", {"encoding": "utf-8"}, "line 3, byte 3: 0xE9 is not UTF-8"),
        ("id,name\n1,x\n2,".encode("utf-16") + b"\x00\xd8", {}, "line 3, byte 5: 0x00 is not UTF-16"),
        (b'id,name\n1,x\n2,"a\r\nb\xc3\r\n"\n', {"encoding": "utf-8"}, "line 4, byte 2: 0xC3 is not UTF-8"),
    ],
)
def test_one_bad_byte_is_told_by_line_and_byte_and_changes_no_other_record(
    data: bytes, how: dict[str, str], place: str
) -> None:
    _, (first, second) = read(data, **how)
    assert first.trouble is None
    assert second.flaw == place
    assert "\ufffd" in second.fields[1]
    second.fields[1].encode()


def test_a_bad_byte_in_the_first_line_is_counted_with_the_mark() -> None:
    table, _ = read(b"\xef\xbb\xbfid,n\xe9\n1,x\n")
    assert "line 1, byte 8" in table.notices[0].message


def test_half_a_file_in_another_encoding_is_told_row_by_row() -> None:
    data = written(RUSSIAN * 5).encode() + written(RUSSIAN[1:]).encode("cp1251")
    _, records = read(data)
    assert [bool(record.flaw) for record in records[-3:]] == [False, True, True]


@pytest.mark.parametrize(
    ("name", "known"),
    [("UTF8", "utf-8"), ("windows-1251", "cp1251"), ("latin1", "cp1252"), ("utf_8_sig", "utf-8"), ("UTF-16", "utf-16")],
)
def test_names_of_encodings(name: str, known: str) -> None:
    assert known_encoding(name) == known


@pytest.mark.parametrize("name", ["martian", "koi8-r", "", "utf-7", "hex"])
def test_an_unknown_encoding_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(ValueError, match="write one of utf-8, utf-16"):
        known_encoding(name)


# --------------------------------------------------------------------------------------------- delimiters and headers


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_is_found_or_stated(delimiter: str) -> None:
    data = PLAIN.replace(",", delimiter)
    assert rows(data) == [["1", "one"], ["2", "two"]]
    assert rows(f"sep={delimiter}\n{data}") == [["1", "one"], ["2", "two"]]
    assert rows(data, delimiter=delimiter) == [["1", "one"], ["2", "two"]]


@pytest.mark.parametrize(
    ("data", "known", "delimiter"),
    [
        ("Name, first;Age\nAnn;3\nBob;4\n", (), ";"),
        ("id;lon;lat\n1;-74,5;40,7\n", (), ";"),
        ("a,b;c\n1,2;3\n", ("B;C",), ","),
        ("a,b;c\n1,2;3\n", ("a,B",), ";"),
        ("one\n1\n", (), ","),
        ("", (), ","),
        ("^a^;^b^\n", (), ";"),
    ],
)
def test_the_delimiter_is_that_of_the_known_columns_or_of_most_lines(
    data: str, known: tuple[str, ...], delimiter: str
) -> None:
    if data:
        assert read(data, known=known)[0].layout.delimiter == delimiter


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;\r", "sep=;;;", "\ufeffsep=;"])
def test_a_line_that_states_the_delimiter_is_no_header(line: str) -> None:
    table, records = read(f"{line}\nid;name\n1;a,b\n")
    assert (table.header, [(record.line, record.fields) for record in records]) == (["id", "name"], [(3, ["1", "a,b"])])


def test_delimiters_at_the_end_of_lines_are_left_out_and_told_once() -> None:
    table, records = read("id,name\n1,one,\n2,two,,,\n")
    assert [record.fields for record in records] == [["1", "one"], ["2", "two"]]
    assert [(notice.line, record.trouble) for notice, record in zip(table.notices, records[:1], strict=True)] == [
        (2, None)
    ]
    assert read("id,name,\n1,one,\n")[0].notices == []


def test_more_cells_than_the_header_are_a_fault() -> None:
    _, (bad, good) = read("id,name\n1,one,more\n2,two\n")
    assert bad.fault is not None
    assert "3 cells under a header of 2" in bad.fault
    assert (good.fault, good.fields) == (None, ["2", "two"])


def test_headers_are_found_without_regard_to_case_and_repeated_ones_are_told() -> None:
    table, _ = read("\n ,,\nID, Full  Name ,id,Ёлка\n1,2,3,4\n")
    assert table.header == ["ID", "Full  Name", "id", "Ёлка"]
    assert [table.find(name) for name in ("id", "ID", "Id", "full name", "ЕЛКА", "none")] == [2, 0, 0, 1, 3, None]
    assert table.find("none", "Id") == 0
    assert [
        (notice.line, "“id” comes more than once (columns 1 and 3)" in notice.message) for notice in table.notices
    ] == [(3, True)]


def test_lines_of_nothing_are_left_out() -> None:
    assert [record.line for record in read(f"\n{PLAIN}\n,,,\n  \n3,x\n")[1]] == [3, 4, 8]


# -------------------------------------------------------------------------------------------------------------- quotes


def test_cells_of_several_lines_know_their_lines() -> None:
    _, records = read('id,name\r\n1,"two\r\nlines"\r\n2,x\r\n')
    assert [(record.line, record.last_line, record.fields[1]) for record in records] == [
        (2, 3, "two\r\nlines"),
        (4, 4, "x"),
    ]


@pytest.mark.parametrize("behind", [0, 1, 3, 5_000])
@pytest.mark.parametrize("bad", ['0,"oops', '"0,oops', '0,"oops ""so""', '0,"'])
def test_a_quote_that_nobody_closes_costs_one_record_and_names_its_line(bad: str, behind: int) -> None:
    data = f"id,name\n{bad}\n" + "".join(f"{number},ok\n" for number in range(behind))
    _, (first, *rest) = read(data)
    assert first.flaw is not None
    assert "opens a cell in line 2 and nobody closes it" in first.flaw
    assert (first.line, first.last_line) == (2, 2)
    assert [record.fields for record in rest] == [[str(number), "ok"] for number in range(behind)]
    assert not any(record.trouble for record in rest)


def test_a_quote_that_a_later_row_seems_to_close_swallows_nothing() -> None:
    data = 'id,name\n0,"oops\n1,ok\n2,ok\n3,"a, b"\n4,ok\n'
    _, records = read(data)
    assert [record.fields[0] for record in records] == ["0", "1", "2", "3", "4"]
    assert [bool(record.flaw) for record in records] == [True, False, False, False, False]


def test_quotes_within_a_text_of_several_lines_are_let_be() -> None:
    _, (first, second) = read('id,name,x\n1,"first\nand "second" line,y\n2,b,c\n')
    assert (first.trouble, first.last_line, second.fields[0]) == (None, 3, "2")


def test_a_cell_may_hold_other_records_as_long_as_its_quotes_close() -> None:
    _, (first, second) = read('id,name\n1,"2,b\n3,c"\n4,d\n')
    assert (first.trouble, first.fields[1], second.fields[0]) == (None, "2,b\n3,c", "4")


def test_a_nul_costs_its_record() -> None:
    _, (first, second) = read("id,name\n1,a\0b\n2,b\n")
    assert (first.fault, second.fault) == ("line 2 holds a NUL character", None)


# ------------------------------------------------------------------------------------------------------ whatever is written

CELL = st.text(st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\0\ufeff"), max_size=8)
CYRILLIC = st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюя АБВ,;\"\n'09«»№", max_size=8)
WESTERN = st.text("abcäöüßéèñøåÉ –€,;\"\n'09", max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_written_is_read_back(data: st.DataObject) -> None:
    encoding, cell = data.draw(
        st.sampled_from(
            [(name, CELL) for name in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")]
            + [("cp1251", CYRILLIC), ("cp1252", WESTERN)]
        )
    )
    delimiter = data.draw(st.sampled_from([",", ";", "\t", "|"]))
    given_rows = data.draw(st.lists(st.tuples(st.integers(0, 10**6).map(str), cell, cell).map(list), max_size=8))
    quoting = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = written([["id", "first", "second"], *given_rows], delimiter=delimiter, quoting=quoting, lineterminator=end)
    stated = {"encoding": known_encoding(encoding)} if not encoding.endswith("-sig") else {}
    table, records = read(text.encode(encoding), delimiter=delimiter, **stated)
    assert table.header == ["id", "first", "second"]
    assert [record.fields for record in records] == given_rows
    assert not any(record.trouble for record in records)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400) | st.text('ab,;"\n\r\t\0é', max_size=200).map(str.encode))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    try:
        table, records = read(data)
    except Unreadable:
        return
    assert all(len(record.fields) <= len(table.header) for record in records)
    for record in records:
        "".join(record.fields).encode()
    lines = [number for record in records for number in (record.line, record.last_line)]
    assert lines == sorted(lines)


# ------------------------------------------------------------------------------------------------------- hostile files


def seconds_to_read(path: Path) -> float:
    """Of the processor: the machine may be busy."""
    began = time.process_time()
    with open_table(path) as table:
        for _ in table.records:
            pass
    return time.process_time() - began


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ('ab","cd', ""),
        ('1,"x', ""),
        ("1,x", '1,"never closed\n'),
        ('"', ""),
        ('1,"""x', ""),
        ("1,x,,,,,,,,,,,,,", ""),
        ('1,"a\n2,b\n3,c', ""),
        ("é,\udcff", ""),
    ],
)
def test_time_grows_with_the_file_and_not_faster(tmp_path: Path, line: str, first: str) -> None:
    found = []
    for lines in (8_000, 32_000):
        path = tmp_path / f"{lines}.csv"
        path.write_bytes(("id,name\n" + first + f"{line}\n" * lines).encode("utf-8", "surrogateescape"))
        found.append(seconds_to_read(path))
    assert found[1] < 10 * found[0] + 0.5
    assert found[1] < 6


def test_a_line_without_end_costs_one_record(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_bytes(b'id,name\n1,"' + b"x" * 30_000_000 + b"\n2,two\n")
    with open_table(path) as table:
        first, second = table.records
    assert first.fault == "the line has more than 1,000,000 characters"
    assert (second.line, second.fields) == (3, ["2", "two"])


def test_a_packed_file_cut_short_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = gzip.compress(("id,name\n" + "".join(f"{n},{n * 7919}\n" for n in range(50_000))).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with open_table(path) as table:
        *good, last = table.records
    assert last.fault is not None
    assert "damaged from here on" in last.fault
    assert len(good) > 10_000
    path.write_bytes(whole[:5])
    with pytest.raises(Unreadable, match=r"damaged|empty"), open_table(path):
        pass


# ----------------------------------------------------------------------------------------------------------- workbooks


def test_a_workbook_is_a_table_by_its_rows() -> None:
    cells: list[list[Any]] = [
        ["ID", "Opened", "Count", "Share", "Open", "Text"],
        [],
        ["a", datetime(2024, 1, 2, 3, 4, 5), 7, 0.5, True, "two\nlines"],  # noqa: DTZ001 - a cell knows no zone
        ["b", date(2024, 1, 2), 1_200_000, 3.0, False, None],
    ]
    table, records = read(workbook(cells))
    assert (table.layout.encoding, table.header) == ("xlsx", cells[0])
    assert [(record.line, record.fields) for record in records] == [
        (3, ["a", "2024-01-02T03:04:05", "7", "0.5", "true", "two\nlines"]),
        (4, ["b", "2024-01-02", "1200000", "3", "false", ""]),
    ]


def test_of_several_sheets_the_first_is_read_and_told() -> None:
    data = workbook([["id"], ["1"]], [["other"], ["2"]])
    assert rows(data) == [["1"]]
    assert "has 2 sheets: “Sheet 1” was read" in notices(data)[0]


def packed(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def test_a_workbook_that_unpacks_to_gigabytes_is_refused_at_once() -> None:
    began = time.process_time()
    bomb = packed(**{"[Content_Types].xml": b"<Types/>", "xl/styles.xml": b" " * (40 << 20)})
    with pytest.raises(Unreadable, match="too large"):
        read(bomb)
    assert time.process_time() - began < 5


def changed(data: bytes, member: str, old: bytes, new: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    assert old in members[member]
    return packed(**members | {member: members[member].replace(old, new)})


@pytest.mark.parametrize(("old", "new"), [(b'r="A3"', b'r="XFD1048576"'), (b'<row r="3"', b'<row r="99999999999"')])
def test_a_workbook_of_cells_far_apart_takes_no_memory(old: bytes, new: bytes) -> None:
    data = workbook([["id"], ["1"], ["2"]])
    began = time.process_time()
    found = rows(changed(data, "xl/worksheets/sheet1.xml", old, new))
    assert found[0] == ["1"]
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04 and so on", "no workbook"),
        (packed(**{"a.csv": b"id\n1\n"}), "ZIP archive"),
        (packed(**{"[Content_Types].xml": b"<Types/>"}), "no workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "old kind"),
        (workbook([]), "empty"),
        (workbook([["id"]])[:-40], "no workbook"),
        (gzip.compress(PLAIN.encode(), mtime=0), "packed with gzip"),
        (b"\xff\xfe\x00\x00i\x00\x00\x00", "UTF-32"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "no text"),
        (b"", "empty"),
        (b"\n , ,\n", "empty"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(data: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        read(data)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="cannot be opened"), open_table(tmp_path / "absent.csv"):
        pass


# ------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("40.7", 40.7), ("40,7", 40.7), ("-74,000", -74.0), ("1 200,5", 1200.5), ("1.200,5", 1200.5), ("1,200.5", 1200.5),
        ("1,234,567", 1234567), (" \u221274.5 ", -74.5), ("1e2", 100), (".5", 0.5), ("7.", 7), ("12\u00a0000", 12000),
    ],
)  # fmt: skip
def test_numbers_in_every_spelling(text: str, number: float) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "-", "abc", "nan", "inf", "1e999", "1_000", "-74.0,40.7", "1,2,3", "٣", "0x1", "1" * 50]
)
def test_what_is_no_number(text: str) -> None:
    assert read_number(text) is None


def test_a_number_is_refused_in_no_time() -> None:
    began = time.process_time()
    for text in ("1" * 20_000, "1," * 10_000, "1.111" * 4_000, "," * 20_000):
        assert read_number(text) is None
    assert time.process_time() - began < 0.5
