"""Files for the pipeline, sent over HTTP, and what became of them."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
from distribution_check import Centre, faults, read

from conftest import City

FIELDS = ("business_units", "managers", "tickets")
OFFICES = [("Астана", "Достык, 16"), ("Алматы", "Аль-Фараби, 77"), ("Тараз", "Желтоксан, 86")]
MANAGERS = [
    ("Ахметова Асель", "Главный специалист", "Астана", "VIP, ENG, KZ", 2),
    ("Ли Тимур", "Специалист", "Алматы", "VIP, ENG, KZ", 0),
    ("Ким Ольга", "Главный специалист", "Алматы", "", 1),
    ("Оспанов Ерлан", "Специалист", "Тараз", "KZ", 3),
]
HEADERS = {
    "business_units": ("Офис", "Адрес"),
    "managers": ("ФИО", "Должность", "Офис", "Навыки", "Количество обращений в работе"),
    "tickets": (
        "GUID клиента", "Пол клиента", "Дата рождения", "Описание", "Вложения", "Сегмент клиента", "Страна", "Область",
        "Населённый пункт", "Улица", "Дом",
    ),
}  # fmt: skip

Rows = Iterable[Sequence[object]]


def ticket(guid: str, text: str = "Как открыть счёт?", **changes: str) -> tuple[str, ...]:
    """A row of the tickets' file."""
    values = {
        "gender": "Женский", "birth_date": "1990-05-17 0:00", "text": text, "attachment": "", "segment": "Mass",
        "country": "Казахстан", "region": "Жамбылская", "town": "Тараз", "street": "Толе би", "house": "7",
    } | changes  # fmt: skip
    return (guid, *values.values())


def written(field: str, rows: Rows, *, header: Sequence[str] | None = None, **dialect: Any) -> str:
    """A CSV file as text."""
    out = io.StringIO()
    writer = csv.writer(out, **dialect)
    writer.writerow(header or HEADERS[field])
    writer.writerows(rows)
    return out.getvalue()


def table(field: str, rows: Rows | str | bytes, **how: Any) -> tuple[str, bytes, str]:
    """Writes a CSV file as httpx sends it: name, bytes, media type."""
    text = rows if isinstance(rows, str | bytes) else written(field, rows, **how)
    return f"{field}.csv", text if isinstance(text, bytes) else text.encode(), "text/csv"


def small(*tickets: Sequence[object], offices: Rows = OFFICES, managers: Rows = MANAGERS) -> dict[str, Any]:
    """Three small files."""
    return {
        "business_units": table("business_units", offices),
        "managers": table("managers", managers),
        "tickets": table("tickets", tickets or [ticket("g-1")]),
    }


def real_files(shared_data: Path) -> dict[str, Any]:
    """The real ones."""
    folder = shared_data / "contact_centre_kz"
    return {name: table(name, (folder / f"{name}.csv").read_bytes()) for name in FIELDS}


async def upload(client: httpx.AsyncClient, files: Any, **params: Any) -> dict[str, Any]:
    """POST /upload that must succeed."""
    answer = await client.post("/upload", files=files, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(result: dict[str, Any], severity: str | None = None) -> list[tuple[str, int, str]]:
    """File, line and words of what was wrong."""
    listed = [one for one in result["errors"] if severity in (None, one["severity"])]
    return [(one["file"], one["line"], one["message"]) for one in listed]


def managers_of(result: dict[str, Any]) -> dict[str, str]:
    """Manager's name by GUID."""
    return {one["client_guid"]: one["assignment"]["manager_name"] for one in result["tickets"] if one["assignment"]}


async def loads(client: httpx.AsyncClient) -> dict[str, int]:
    """Tickets in work by manager's name."""
    items = (await client.get("/managers")).json()["items"]
    return {item["name"]: item["current_load"] for item in items}


async def events(client: httpx.AsyncClient, number: str) -> list[dict[str, Any]]:
    """A ticket's trail."""
    items: list[dict[str, Any]] = (await client.get(f"/requests/{number}/events")).json()["items"]
    return items


async def broken_rules(city: City, client: httpx.AsyncClient, folder: Path, tickets: list[dict[str, Any]]) -> list[str]:
    """What the independent check finds wrong with the assignments of a file's tickets, in the file's order.

    It reads offices and managers from the files themselves, and only ids and the map from the tenant.
    """
    units = {one["name"]: one for one in (await client.get("/business-units")).json()["items"]}
    ids = {
        (one["name"], one["business_unit_name"]): one["id"] for one in (await client.get("/managers")).json()["items"]
    }
    offices = {
        UUID(units[row["Офис"]]["id"]): {
            "id": UUID(units[row["Офис"]]["id"]),
            "name": row["Офис"],
            "lon": units[row["Офис"]]["longitude"],
            "lat": units[row["Офис"]]["latitude"],
        }
        for row in read(folder, "business_units")
    }
    managers = {
        UUID(ids[row["ФИО"], row["Офис"]]): {
            "name": row["ФИО"],
            "office": UUID(units[row["Офис"]]["id"]),
            "position": row["Должность"],
            "skills": {part.strip() for part in row["Навыки"].split(",")},
            "load": int(row["Количество обращений в работе"]),
        }
        for row in read(folder, "managers")
    }
    countries = await _countries(city)
    known = [
        {
            "id": one["id"],
            "number": one["request_id"],
            "priority": one["analysis"]["priority"],
            "segment": one["segment"],
            "category": one["analysis"]["category"],
            "language": one["analysis"]["language"],
            "lon": one["longitude"],
            "lat": one["latitude"],
            "country": countries[one["request_id"]],
        }
        for one in tickets
    ]
    by_name = {str(one["name"]): key for key, one in managers.items()}
    outcome = [_outcome(one, by_name) for one in sorted(tickets, key=lambda one: -one["analysis"]["priority"])]
    return faults(Centre(city, offices, managers), known, outcome)


async def _countries(city: City) -> dict[str, str | None]:
    async with city.transaction() as tx:
        rows = await tx.rows("SELECT number, country_code FROM requests WHERE tenant_id = %s", [tx.tenant_id])
    return {row["number"]: row["country_code"] for row in rows}


def _outcome(one: dict[str, Any], by_name: dict[str, UUID]) -> SimpleNamespace:
    """A decision as the check follows it, from what the ticket's steps say."""
    assignment = one["assignment"]
    first, last = assignment["steps"][0]["detail"], assignment["steps"][-1]["detail"]
    return SimpleNamespace(
        ticket_id=one["id"],
        primary_office_id=UUID(first["office_id"]),
        office_id=UUID(assignment["business_unit_id"]),
        manager_id=UUID(assignment["manager_id"]),
        reason=assignment["reason"],
        candidates=[(by_name[who["manager"]], who["manager"], who["load"]) for who in last["between"]],
    )
