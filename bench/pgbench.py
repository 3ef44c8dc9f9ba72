"""PostgreSQL alone doing what one intake does: the yardstick that the HTTP figure is divided by.

The statements are the product's own, taken from intake/queries.py and requests/store.py, run through the application role under the row
policies in the same four round trips and the commit. What the product computes for one real report of each category
is the template of the rows; number, place, words and keys differ from row to row.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg.rows import dict_row

from bench.load import run_load
from bench.reports import CATEGORIES, SIZE, SOUTH, WEST, posts
from bench.server import BenchError, City, Server
from civicpulse.base.embedded import binaries
from civicpulse.base.idempotency import KEEP_ANSWER
from civicpulse.base.logins import as_application
from civicpulse.intake.queries import OPEN
from civicpulse.requests.store import INSERT_TOLD

CELLS = 150_000  # so many cells of resolution 10 has the city of reports.py
LOCK_CELLS = 3_100  # and of the resolution that the place locks use
AROUND = 19  # cells looked at for duplicates within 100 m

TEMPLATE = """
SELECT to_jsonb(r) - 'search' - 'tenant_id' - 'request_id' AS row, e.actor_type, e.actor_id, e.meta::text AS meta,
       k.scope, k.fingerprint, k.answer
FROM requests r
JOIN events e ON e.tenant_id = r.tenant_id AND e.subject_id = r.id AND e.seq = 1
JOIN idempotency_keys k ON k.tenant_id = r.tenant_id AND k.answer LIKE '%%' || r.number || '%%'
WHERE r.tenant_id = %s AND r.category = %s LIMIT 1
"""

# Columns that differ from row to row → the SQL of their text.
TEXTS = {
    "id": ":got_new_id::text",
    "number": "'CST-2026-' || lpad(:got_number, 6, '0')",
    "created_at": ":got_at::text",
    "updated_at": ":got_at::text",
}
NUMBERS = {"lon": ":lon::text", "lat": ":lat::text", "cell": ":cell::text"}
# These end in a number of their own, as long as what it replaces.
UNIQUE = ("description", "address_hint", "address_key")
KEY_DIGITS = 19
MARK = re.compile(r'"?@(text|number|key):(\w+)@"?')


@dataclass(frozen=True, slots=True)
class PgBench:
    """What pgbench said."""

    tps: float
    latency_ms: float


class Scripts:
    """pgbench scripts in a folder of their own, run through the application role."""

    def __init__(self, server: Server, folder: str) -> None:
        self._server = server
        self._defines: dict[str, str] = {}
        self._folder = server.folder / folder
        self._folder.mkdir(exist_ok=True)

    def run(self, transactions: int, *, clients: int) -> PgBench:
        """So many transactions over `clients` connections, the scripts in equal parts."""
        command = [str(binaries() / "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients))]
        command += ["-t", str(max(1, transactions // clients))]
        for script in sorted(self._folder.glob("*.sql")):
            command += ["-f", str(script)]
        for name, value in self._defines.items():
            command += ["-D", f"{name}={value}"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        done = subprocess.run(
            [*command, as_application(self._server.url)], env=environment, capture_output=True, text=True, check=False
        )
        tps = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
        latency = re.search(r"^latency average = ([\d.]+)", done.stdout, re.MULTILINE)
        failed = re.search(r"^number of failed transactions: (\d+)", done.stdout, re.MULTILINE)
        if done.returncode or not tps or not latency or (failed and failed[1] != "0"):
            raise BenchError(f"pgbench failed:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
        return PgBench(float(tps[1]), float(latency[1]))

    def _define(self, name: str, value: str, cast: str = "text") -> str:
        self._defines[name] = value
        return f":{name}::{cast}"


def opened(city: City) -> list[str]:
    """The lines that begin a transaction of a tenant: one round trip for both, as base/db.py does it."""
    return [
        r"\startpipeline",
        "BEGIN;",
        f"SET LOCAL civicpulse.tenant = '{city.tenant.tenant_id}';",
        r"\endpipeline",
    ]


class Yardstick(Scripts):
    """The intake of one tenant, one script a category."""

    def __init__(self, server: Server, city: City) -> None:
        super().__init__(server, "pgbench")
        self._city = city
        run_load(server.port, posts(len(CATEGORIES), token=city.token), connections=1)
        with server.owner() as owner, owner.cursor(row_factory=dict_row) as cursor:
            for index, category in enumerate(CATEGORIES):
                found = cursor.execute(TEMPLATE, [city.tenant.tenant_id, category]).fetchone()
                if found is None:
                    raise BenchError(f"no report of category {category} could be posted: see {server.log}")
                (self._folder / f"{category}.sql").write_text(self._script(f"c{index}", found))

    def _script(self, prefix: str, template: dict[str, Any]) -> str:
        """One transaction as the product does it, with values by pgbench."""
        values = self._values(prefix, template)
        taken = filled(OPEN, values).strip().removeprefix("SELECT ")
        return "\n".join(
            [
                r"\set key random(1000000000000000000, 8999999999999999999)",
                r"\set key_lock random(0, 9000000000000000000)",
                rf"\set place random(1, {LOCK_CELLS})",
                rf"\set cell 622000000000000000 + random(1, {CELLS})",
                rf"\set lon {WEST} + random(0, 1000000) * {SIZE} / 1000000.0",
                rf"\set lat {SOUTH} + random(0, 1000000) * {SIZE} / 1000000.0",
                *opened(self._city),
                f"SELECT uuidv7() AS new_id, now() AS at, {taken}",
                r"\gset got_",
                filled(INSERT_TOLD, values).strip() + ";",
                filled(KEEP_ANSWER, values).strip() + ";",
                "COMMIT;",
            ]
        )

    def _values(self, prefix: str, template: dict[str, Any]) -> dict[str, str]:
        """SQL for each parameter of the two statements."""
        constants = {
            "scope": template["scope"],
            "answer": template["answer"],
            "fingerprint": "\\x" + bytes(template["fingerprint"]).hex(),
            "actor_type": template["actor_type"],
            "actor_id": template["actor_id"],
            "categories": "{" + template["row"]["category"] + "}",
        }
        casts = {"fingerprint": "bytea"}
        return {
            name: self._define(f"{prefix}_{name}", text, casts.get(name, "text")) for name, text in constants.items()
        } | {
            "rows": f"'[' || {self._row(prefix, template['row'])} || ']'",
            "events": self._events(prefix, template["meta"]),
            "tenant_id": f"'{self._city.tenant.tenant_id}'::uuid",
            "id": ":got_new_id::uuid",
            "at": ":got_at::timestamptz",
            "key": ":key::text",
            "key_lock": ":key_lock::bigint",
            "place_locks": f"ARRAY[:place::bigint, :place::bigint + {LOCK_CELLS}, :key_lock::bigint + 1]",
            "cells": "ARRAY[" + ", ".join(f":cell::bigint + {offset}" for offset in range(-9, AROUND - 9)) + "]",
            "lon": ":lon::float8",
            "lat": ":lat::float8",
            "radius_m": "100::float8",
            "address_key": "left(:key::text, 4) || ' st ' || right(:key::text, 3)",
            "asset_id": "NULL::text",
            "since": "now() - interval '168 hours'",
            "closed_since": "now() - interval '24 hours'",
        }

    def _events(self, prefix: str, meta: str) -> str:
        """SQL that makes the JSON of the first event."""
        head = self._define(
            f"{prefix}_event", '[{"seq": 1, "type": "request.opened", "meta": ' + meta + ', "id": "', "text"
        )
        return f"""{head} || :got_new_id::text || '", "at": "' || :got_at::text || '"}}]'"""

    def _row(self, prefix: str, row: dict[str, Any]) -> str:
        """SQL that makes the row's JSON: the template's text in pieces around the values of each row."""
        marked = row | {name: f"@text:{name}@" for name in TEXTS} | {name: f"@number:{name}@" for name in NUMBERS}
        for name in UNIQUE:
            replaced = min(len(row[name]), KEY_DIGITS)
            marked[name] = f"{row[name][:-replaced]}@key:{replaced}@"
        return " || ".join(self._pieces(prefix, orjson.dumps(marked).decode()))

    def _pieces(self, prefix: str, text: str) -> Iterator[str]:
        at = 0
        for number, mark in enumerate(MARK.finditer(text)):
            kind, name = mark.groups()
            start, end = mark.span()
            if kind != "number":  # quotation marks stay around a text
                start += text[start] == '"'
                end -= text[end - 1] == '"'
            yield self._define(f"{prefix}_row{number}", text[at:start], "text")
            yield f"left(:key::text, {name})" if kind == "key" else (TEXTS | NUMBERS)[name]
            at = end
        yield self._define(f"{prefix}_rest", text[at:], "text")


def filled(statement: str, values: dict[str, str]) -> str:
    """`statement` with SQL in place of its parameters. Raises BenchError when the product has one that is not known here."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise BenchError(f"the product has a parameter {match[1]!r} that the bench does not know")
        return f"({values[match[1]]})"

    return re.sub(r"%\((\w+)\)s", value, statement).replace("%%", "%")
