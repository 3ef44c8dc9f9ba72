"""Files as programs and people write them, read without a database (R-CSV-03)."""

import io
import re

import pytest

from civicpulse.base import tables
from civicpulse.base.tables import Unreadable
from civicpulse.centre.reader import Layout, MissingColumn, Record, layout_from_json, layout_of, open_records
from civicpulse.centre.rows import RowError, RowReader
from civicpulse.centre.texts import TEXTS, say
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import compile_pack
from civicpulse.requests.views.ticket import file_names

PACK = compile_pack(read_pack("contact_centre"))
COLUMNS = PACK.document.csv_columns["managers"]
HEADER = "ФИО,Должность,Офис,Навыки,Количество обращений в работе"
ROWS = [["Ли Анна", "Специалист", "Астана", "KZ, ENG", "3"], ["Ким", "Главный\nспециалист", "Алматы", "", "0"]]
BLANK = re.compile(r"{\w+}")
PLAIN = f'{HEADER}\nЛи Анна,Специалист,Астана,"KZ, ENG",3\nКим,"Главный\nспециалист",Алматы,,0\n'
NAMES = ("name", "position", "office", "skills", "load")


def read(content: str | bytes) -> list[Record]:
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    with open_records(file, layout_of(file, COLUMNS)) as (records, _):
        return list(records)


def cells(content: str | bytes) -> list[list[str]]:
    return [[record.values[name] for name in NAMES] for record in read(content)]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("cp1251"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.replace("\n", "\r\n").replace("Главный\r\n", "Главный\n"),
        PLAIN.replace("\n", "\r").replace("Главный\r", "Главный\n"),
        "\n  \n,,,,\n" + PLAIN,
        PLAIN + "\n\n,,,,\n",
        PLAIN.rstrip("\n"),
        PLAIN.replace(",", ";").replace("KZ; ENG", "KZ, ENG"),
        PLAIN.replace('"KZ, ENG"', "KZ\x1f ENG").replace(",", "\t").replace("\x1f", ","),
        PLAIN.replace(HEADER, " фио ,ДОЛЖНОСТЬ  ,офис, Навыки,Количество   обращений в  работе "),
        PLAIN.replace(HEADER, "Name,Position,Office,Skills,Load"),
        PLAIN.replace(HEADER, "Ф.И.О.,Position,Бизнес-единица,Скиллы,Нагрузка"),
        PLAIN.replace(",0\n", ",0,,,\n"),
    ],
    ids=["plain", "mark", "cp1251", "utf-16", "utf-16 unmarked", "crlf", "cr", "blank before", "blank after", "no last newline", "semicolons", "tabs",
         "header blanks", "english", "synonyms", "empty cells behind"],
)  # fmt: skip
def test_every_edition_of_a_file_reads_the_same(content: str | bytes) -> None:
    assert cells(content) == ROWS


def test_columns_may_stand_in_any_order_and_others_beside_them() -> None:
    swapped = "Примечание,Нагрузка,Навыки,Офис,Должность,ФИО\nx,3,KZ,Астана,Специалист,Ли\n"
    assert cells(swapped) == [["Ли", "Специалист", "Астана", "KZ", "3"]]


def test_lines_are_those_of_the_file() -> None:
    assert [record.line for record in read("\n" + PLAIN)] == [3, 4]
    assert [record.line for record in read(PLAIN + "Ли,С,Астана,,1\n")] == [2, 3, 5]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ('Ли "Анна",Специалист,Астана,KZ,3', 'Ли "Анна"'),
        ('Ли 15",Специалист,Астана,KZ,3', 'Ли 15"'),
        ('"Ли Анна,Специалист,Астана,KZ,3', '"Ли Анна'),
        ('"Ли ""Анна""",Специалист,Астана,KZ,3', 'Ли "Анна"'),
    ],
)
def test_a_lone_quote_costs_nothing_around_it(row: str, name: str) -> None:
    found = read(f"{HEADER}\n{row}\nКим,Специалист,Алматы,,0\nПак,Специалист,Алматы,,0\n")
    assert [record.values["name"] for record in found] == [name, "Ким", "Пак"]
    assert [record.line for record in found] == [2, 3, 4]
    assert [bool(record.flaw) for record in found] == [row.startswith('"Ли Анна,'), False, False]


def test_a_lone_quote_before_thousands_of_lines_costs_one_record() -> None:
    rest = "".join(f"Ким {n},Специалист,Алматы,,0\n" for n in range(5_000))
    found = read(f'{HEADER}\n"Ли,Специалист,Астана,KZ,3\n{rest}')
    assert len(found) == 5_001
    assert found[0].flaw
    assert not any(record.flaw or record.fault for record in found[1:])


def test_a_lone_quote_in_the_last_line_is_found_too() -> None:
    assert [record.values["office"] for record in read(f'{HEADER}\nЛи,"Специалист,Астана,KZ,3')] == ["Астана"]


def test_one_bad_byte_is_told_and_changes_no_other_row() -> None:
    file = io.BytesIO(f"{HEADER}\nЛи Анна,Специалист,Астана,KZ,3\nCaf".encode() + b"\xe9,,Almaty,,0\n")
    layout = layout_of(file, COLUMNS)
    with open_records(file, layout) as (records, _):
        good, bad = records
    assert (layout.written.encoding, good.values["name"], good.flaw) == ("utf-8", "Ли Анна", None)
    assert (bad.values["name"], bad.flaw, bad.fault) == ("Caf\ufffd", "line 3, byte 4: 0xE9 is not UTF-8", None)
    found = reader()
    found.manager(bad)
    assert [(fault.line, fault.severity) for fault in found.faults if "0xE9" in fault.message] == [(3, "warning")]


def test_a_nul_costs_its_row_and_no_other() -> None:
    good, bad = read(PLAIN + "Ли\x00,С,Астана,,1\n")[1:]
    assert (good.fault, bad.fault) == (None, "line 5 holds a NUL character")
    with pytest.raises(RowError, match="unreadable_row"):
        reader().manager(bad)


def test_a_record_of_several_lines_may_lack_its_last_cells() -> None:
    found = read(f'{HEADER}\nКим,"Главный\nспециалист"\nЛи,Специалист,Астана,KZ,3\n')
    assert [(record.line, record.values["name"], record.flaw) for record in found] == [
        (2, "Ким", None),
        (4, "Ли", None),
    ]


def test_a_row_with_more_cells_than_the_header_is_a_fault() -> None:
    found = read(f"{HEADER}\nЛи,Специалист,Астана,KZ,3,и ещё\nКим,Специалист,Алматы,,0\n")
    assert [record.fault is None for record in found] == [False, True]
    assert "6 cells under a header of 5" in str(found[0].fault)


@pytest.mark.parametrize(
    ("content", "words", "column"),
    [
        (b"", "empty", None),
        (b"\n \r\n;;;\n", "empty", None),
        (HEADER.encode(), "no rows", None),
        (f"{HEADER}\n\n,,,,\n".encode(), "no rows", None),
        (b"PK\x03\x04" + PLAIN.encode(), "xlsx", None),
        (b"\xd0\xcf\x11\xe0" + PLAIN.encode(), "xls", None),
        (HEADER.encode() + b"\x00\nx", "NUL", None),
        (b"\x00\x01" * 50 + PLAIN.encode() + b"\x00\x01\x00", "no text", None),
        ("Ли".encode("cp1251") + b"\x98", "lacks the columns", "ФИО"),
        (PLAIN.replace("Офис", "Город").encode(), "lacks the column “Офис”", "Офис"),
        (PLAIN.replace("Офис", "X").replace("Навыки", "Y").encode(), "lacks the columns “Навыки”, “Офис”", "Навыки"),
        (b"a line of text\nand another one\n", "lacks the columns", "ФИО"),
    ],
)
def test_a_file_that_is_none_is_told_so(content: bytes, words: str, column: str | None) -> None:
    with pytest.raises(Unreadable) as error:
        layout_of(io.BytesIO(content), COLUMNS)
    assert words in str(error.value)
    assert getattr(error.value, "column", None) == column
    assert isinstance(error.value, MissingColumn) is (column is not None)


# ------------------------------------------------------------------------------------------------------------ rows


def reader() -> RowReader:
    return RowReader(PACK, "file.csv")


def ticket(**values: str) -> Record:
    return Record(2, dict.fromkeys(PACK.document.csv_columns["tickets"], "") | {"client_guid": "g-1"} | values)


def manager(**values: str) -> Record:
    return Record(2, {"name": "Ли", "office": "Астана", "position": "", "skills": "", "load": ""} | values)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1998-01-01 0:00", "1998-01-01"), ("1998-1-1", "1998-01-01"), ("31.12.1990", "1990-12-31"), ("31/12/1990", "1990-12-31"),
        ("1998-01-01T00:00:00Z", "1998-01-01"), ("1998-01-01 00:00:00.000", "1998-01-01"), ("", None),
    ],
)  # fmt: skip
def test_birth_dates(text: str, found: str | None) -> None:
    assert reader().ticket(ticket(birth_date=text)).given["birth_date"] == found


@pytest.mark.parametrize(
    "text", ["1998", "31.02.1990", "yesterday", "1998-13-01", "0001-01-01", "1998-01-01 and so on", "12.31.1990"]
)
def test_what_is_no_birth_date(text: str) -> None:
    made = reader()
    assert made.ticket(ticket(birth_date=text)).given["birth_date"] is None
    assert [(fault.column, fault.severity) for fault in made.faults] == [("birth_date", "warning")]
    assert text in made.faults[0].message


@pytest.mark.parametrize(("text", "load"), [("3", 3), ("3.0", 3), ("1 200", 1200), ("", 0), ("0", 0), ("7,0", 7)])
def test_loads(text: str, load: int) -> None:
    assert reader().manager(manager(load=text)).load == load


@pytest.mark.parametrize("text", ["-1", "3.5", "много", "1e99", "nan", "inf", "3 и 4"])
def test_what_is_no_load(text: str) -> None:
    with pytest.raises(RowError) as error:
        reader().manager(manager(load=text))
    assert error.value.column == "load"


@pytest.mark.parametrize(
    ("written", "skills"),
    [
        ("VIP, ENG, KZ", ("VIP", "ENG", "KZ")),
        ("вип;English ; каз", ("VIP", "ENG", "KZ")),
        ("KZ,kz, Қазақ", ("KZ",)),
        (" , ", ()),
    ],
)
def test_skills_in_any_spelling(written: str, skills: tuple[str, ...]) -> None:
    found = reader()
    assert found.manager(manager(skills=written)).skills == skills
    assert found.faults == []


def test_a_word_that_the_rules_do_not_know_is_kept_and_told() -> None:
    found = reader()
    row = found.manager(manager(skills="VIP, Латынь", position="Стажёр"))
    assert (row.skills, row.position) == (("VIP", "Латынь"), "Стажёр")
    assert [(fault.severity, fault.column) for fault in found.faults] == [
        ("warning", "position"),
        ("warning", "skills"),
    ]
    assert found.ticket(ticket(segment="масс")).given["segment"] == "Mass"


@pytest.mark.parametrize(
    ("values", "column"),
    [({"client_guid": ""}, "client_guid"), ({"client_guid": "g" * 201}, "client_guid"), ({"town": "т" * 1001}, "town")],
)
def test_tickets_that_cannot_be_used(values: dict[str, str], column: str) -> None:
    with pytest.raises(RowError) as error:
        reader().ticket(ticket(**values))
    assert error.value.column == column


def test_a_text_is_cut_where_the_intake_cuts_and_says_so() -> None:
    found = reader()
    assert len(found.ticket(ticket(description="ы" * 20_001)).given["description"]) == 20_000
    assert [fault.severity for fault in found.faults] == ["warning"]


def test_the_fingerprint_is_of_every_cell() -> None:
    first = reader().ticket(ticket()).fingerprint
    assert reader().ticket(ticket()).fingerprint == first
    for name in PACK.document.csv_columns["tickets"]:
        changed = {name: "1990-05-17" if name == "birth_date" else "x"}
        assert reader().ticket(ticket(**changed)).fingerprint != first


def test_several_attachments_in_a_cell() -> None:
    def named(cell: str) -> list[str]:
        return list(file_names(cell))

    assert named("Order.PNG; C:\\scans\\b.pdf ,c.jpg") == ["order.png", "b.pdf", "c.jpg"]
    assert named("") == []


def test_a_layout_can_be_stored() -> None:
    layout = layout_of(io.BytesIO(PLAIN.encode("cp1251")), COLUMNS)
    assert layout == Layout(tables.Layout("cp1251", ",", "found"), {name: index for index, name in enumerate(NAMES)})
    assert layout_from_json(layout.to_json()) == layout
    earlier = {"encoding": "utf-8-sig", "delimiter": ";", "columns": {"name": 0}, "width": 5}
    assert layout_from_json(earlier) == Layout(tables.Layout("utf-8", ";"), {"name": 0})


def test_what_a_run_tells_is_said_in_every_language() -> None:
    """The same messages with the same blanks everywhere, and none of them English in another language (R-CSV-10)."""
    blanks = {name: set(BLANK.findall(words)) for name, words in TEXTS["en"].items()}
    for language, texts in TEXTS.items():
        assert {name: set(BLANK.findall(words)) for name, words in texts.items()} == blanks, language
    assert say("ru-KZ", "birth_date", text="вчера").startswith("«вчера» не похоже на дату рождения")
    assert say("de", "empty") == TEXTS["en"]["empty"]
