"""A calm tenant beside a hostile one, on one API process: the calm one's waits alone, and while the other takes what it can get."""

import multiprocessing
import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice

import orjson
import psycopg

from bench.load import Load, http_request, run_load
from bench.reports import posts, report
from bench.server import City
from bench.session import Session
from bench.table import Figure, Goal

GOAL = 2.0  # times the calm tenant's p99 when it is alone
HOSTILE_CONNECTIONS = 16
ENDLESS = 1_000_000


def fairness(session: Session) -> None:
    """p99 of a calm tenant's writes and reads: alone, beside writes on a locked row, beside reads without a pause."""
    server = session.server
    calm, hostile = server.city("calm"), server.city("hostile")
    run_load(server.port, posts(200, token=calm.token), connections=4)
    run_load(server.port, posts(200, token=hostile.token), connections=4)
    count = 200 if session.quick else 1000
    alone = _calm(session, calm, count)
    session.add(_figure("alone", alone))
    for what, beside in (("16 writes on a locked row", _locked_row), ("16 connections that read", _reading)):
        with beside(session, hostile):
            load = _calm(session, calm, count)
        ratio = load.percentile(0.99) / alone.percentile(0.99)
        session.add(_figure(f"beside {what}", load))
        session.add(Figure("fairness", f"p99 beside {what} ÷ alone", ratio, "", Goal(GOAL), failed=load.failures > 0))


def _figure(what: str, load: Load) -> Figure:
    return Figure(
        "fairness",
        f"p99 of a calm tenant, {what}",
        load.percentile(0.99),
        "ms",
        note=load.tail,
        failed=load.failures > 0,
    )


def _calm(session: Session, city: City, count: int) -> Load:
    rng = random.Random(7)
    read = http_request("GET", "/requests?limit=20", headers=city.headers)
    body = orjson.dumps(report(rng, "pothole"))
    write = http_request("POST", "/requests", headers=city.headers, body=body)
    return run_load(session.server.port, list(islice(cycle([write, read]), count)), connections=1)


@contextmanager
def _sending(session: Session, request: bytes) -> Iterator[None]:
    """Sends the request again and again over many connections, from a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=_send, args=(session.server.port, request))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _send(port: int, request: bytes) -> None:
    run_load(port, [request] * ENDLESS, connections=HOSTILE_CONNECTIONS)


@contextmanager
def _locked_row(session: Session, city: City) -> Iterator[None]:
    with psycopg.connect(session.server.url) as owner:
        row = owner.execute(
            "SELECT id, number FROM requests WHERE tenant_id = %s ORDER BY id LIMIT 1 FOR UPDATE",
            [city.tenant.tenant_id],
        ).fetchone()
        assert row is not None
        body = orjson.dumps({"to": "triaged"})
        with _sending(
            session, http_request("PATCH", f"/requests/{row[1]}/transition", headers=city.headers, body=body)
        ):
            yield
        owner.rollback()


@contextmanager
def _reading(session: Session, city: City) -> Iterator[None]:
    with _sending(session, http_request("GET", "/requests?limit=50", headers=city.headers)):
        yield
