"""The inbox: POST /reports over HTTP against pgbench running its statement, and how fast a job works the reports off."""

import asyncio
import random
import re
import time
from uuid import uuid4

import orjson

from bench.intake import CONNECTIONS
from bench.load import http_request, run_load
from bench.pgbench import Scripts, filled, opened
from bench.reports import CATEGORIES, report
from bench.server import BenchError, City, Server
from bench.session import Session, Turns, middle
from bench.table import Figure, Goal
from civicpulse.base.services import open_services
from civicpulse.packs.store import current_pack
from civicpulse.reports.jobs import process_reports
from civicpulse.reports.queries import ADD
from civicpulse.triage.analysis import ReportText
from civicpulse.triage.analyst import analyse_batch

RATIO_GOAL = 0.5
DIFFERENT = {"id": "uuidv7()::text", "key": ":key::text", "submitted_at": "now()::text"}

TEMPLATE = """
SELECT to_jsonb(r) - 'tenant_id' || jsonb_build_object('scope', k.scope, 'fingerprint', encode(k.fingerprint, 'hex'), 'answer', k.answer)
FROM reports r JOIN idempotency_keys k ON k.tenant_id = r.tenant_id AND k.answer LIKE '%%' || r.id || '%%'
WHERE r.tenant_id = %s LIMIT 1
"""


def raw_reports(count: int, *, token: str) -> list[bytes]:
    """That many POST /reports, each with a key of its own; the same bodies as those of POST /requests, without a category."""
    rng = random.Random(uuid4().int)
    sent = []
    for index in range(count):
        body = report(rng, CATEGORIES[index % len(CATEGORIES)])
        del body["category"]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"{rng.randrange(10**18, 9 * 10**18)}"}
        sent.append(http_request("POST", "/reports", headers=headers, body=orjson.dumps(body)))
    return sent


class InboxYardstick(Scripts):
    """The one statement of POST /reports, a report a transaction, with the values of one that the product has kept."""

    def __init__(self, server: Server, city: City) -> None:
        super().__init__(server, "pgbench-reports")
        run_load(server.port, raw_reports(1, token=city.token), connections=1)
        with server.owner() as owner:
            found = owner.execute(TEMPLATE, [city.tenant.tenant_id]).fetchone()
        if found is None:
            raise BenchError(f"no report could be posted: see {server.log}")
        # The row's JSON in pieces around what differs from report to report.
        marked = orjson.dumps(found[0] | {name: f"@{name}@" for name in DIFFERENT}).decode()
        pieces = re.split(f"@({'|'.join(DIFFERENT)})@", marked)
        parts = [
            DIFFERENT[piece] if number % 2 else self._define(f"piece{number}", piece)
            for number, piece in enumerate(pieces)
        ]
        values = {
            "tenant_id": f"'{city.tenant.tenant_id}'::uuid",
            "queue": "'reports'",
            "at": "now()",
            "sent": f"'[' || {' || '.join(parts)} || ']'",
        }
        lines = [
            r"\set key random(1000000000000000000, 8999999999999999999)",
            *opened(city),
            f"{filled(ADD, values).strip()};",
            "COMMIT;",
        ]
        (self._folder / "report.sql").write_text("\n".join(lines))


def inbox(session: Session) -> None:
    """POST /reports and pgbench turn by turn, then the job on what has come together."""
    server, city = session.server, session.server.city("inbox")
    yardstick = InboxYardstick(server, server.city("inbox-yardstick"))
    run_load(server.port, raw_reports(300, token=city.token), connections=CONNECTIONS)
    yardstick.run(800, clients=CONNECTIONS)
    turns, count = Turns(), 3000 if session.quick else 10_000
    for _ in range(3):
        sent, before = raw_reports(count, token=city.token), server.api_cpu()
        turns.loads.append(run_load(server.port, sent, connections=CONNECTIONS))
        turns.api_cpu_ms.append((server.api_cpu() - before) / count * 1000)
        turns.yards.append(yardstick.run(count, clients=CONNECTIONS).tps)
    load = sorted(turns.loads, key=lambda load: load.per_second)[len(turns.loads) // 2]
    cpu = f"CPU per report: API {middle(turns.api_cpu_ms):.2f} ms, load generator {load.cpu / load.count * 1000:.2f} ms"
    failed = any(load.failures for load in turns.loads)
    goal = Goal(RATIO_GOAL, at_least=True)
    session.add(Figure("reports", "POST /reports ÷ pgbench", turns.ratio, "", goal, note="median of the rounds"))
    session.add(Figure("reports", "POST /reports", turns.rate, "/s", note=f"{load.tail}; {cpu}", failed=failed))
    session.add(Figure("reports", "pgbench, the same statement", turns.yard, "/s"))
    _work_off(session, city)


def _work_off(session: Session, city: City) -> None:
    """One worker on a part of what has come: from raw text to request, with analysis and search for duplicates."""
    limit = 1000 if session.quick else 4000
    with session.server.owner() as owner:
        owner.execute(
            "UPDATE reports SET state = 'parked', due_at = NULL WHERE (tenant_id, id) NOT IN "
            "(SELECT tenant_id, id FROM reports WHERE tenant_id = %s ORDER BY id LIMIT %s)",
            [city.tenant.tenant_id, limit],
        )

    async def work() -> tuple[int, float]:
        async with open_services(session.server.settings) as services:
            async with services.db.transaction(city.tenant) as tx:
                pack = await current_pack(tx)
            await analyse_batch(
                services, city.tenant, pack, [ReportText("warm")]
            )  # its text model is made the first time
            began = time.perf_counter()
            return await process_reports(services), time.perf_counter() - began

    done, seconds = asyncio.run(work())
    session.add(Figure("reports", "processed by one worker", done / seconds, "/s", note=f"{done} reports"))
