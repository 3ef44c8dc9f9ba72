"""The CSV pipeline over HTTP: tickets a second from file to manager, the distribution alone, and the memory that it takes."""

import random
import time
from random import Random
from typing import Any
from uuid import UUID

import httpx

from bench.server import City, peak_memory_kb
from bench.session import Session, middle
from bench.table import Figure, Goal
from civicpulse.packs.loader import read_pack
from civicpulse.packs.model import compile_pack
from civicpulse.rules.distribution import ManagerFacts, OfficeFacts, TicketFacts, distribute
from civicpulse.sample.centre_files import staff_files, tickets_file
from civicpulse.sample.loader import read_sample

TICKETS = 20_000
MANY_TICKETS = 100_000
WHOLE_GOAL, ASSIGN_GOAL, MEMORY_GOAL_MB = 500, 5_000, 400
PATIENCE_SECONDS = 1_800


def pipeline(session: Session) -> None:
    """POST /upload of a night's files into a contact centre; each night brings tickets that were not there before."""
    city = session.server.city("centre", pack="contact_centre")
    session.server.restart_api()
    _upload(session, city, many=300, seed=1)  # the text model is made, towns are found for the first time
    rates, steps = list[float](), list[dict[str, float]]()
    many = TICKETS // 4 if session.quick else TICKETS
    for seed in range(2, 3 if session.quick else 5):
        seconds, run = _upload(session, city, many=many, seed=seed)
        rates.append(many / seconds)
        steps.append({one["step"]: one["seconds"] for one in run["progress"]})
    took = {name: middle([step[name] for step in steps]) for name in steps[0]}
    note = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items())
    whole = Figure(
        "pipeline",
        f"{many:,} tickets from file to manager",
        middle(rates),
        "/s",
        Goal(WHOLE_GOAL, at_least=True),
        note=note,
    )
    session.add(whole)
    session.add(Figure("pipeline", "step assign, with what it writes", many / took["assign"], "/s"))
    rate = middle([_distribute(TICKETS) for _ in range(3)])
    session.add(Figure("pipeline", "assignment alone, the rule", rate, "/s", Goal(ASSIGN_GOAL, at_least=True)))
    if not session.quick:
        _memory(session, city)


def _memory(session: Session, city: City) -> None:
    """A fresh API process takes a large file: its peak over that."""
    server = session.server
    server.restart_api()
    seconds, run = _upload(session, city, many=MANY_TICKETS, seed=99)
    assert server.process is not None
    peak = peak_memory_kb(server.process.pid) / 1024
    note = f"{run['files'][2]['bytes'] / 1e6:.0f} MB of CSV, {MANY_TICKETS / seconds:.0f} tickets/s"
    session.add(
        Figure("pipeline", f"peak memory, {MANY_TICKETS:,} tickets", peak, "MB", Goal(MEMORY_GOAL_MB), note=note)
    )


def _upload(session: Session, city: City, *, many: int, seed: int) -> tuple[float, dict[str, Any]]:
    """Seconds that the caller waited, and the run."""
    told = read_sample("centre")
    offices, managers = staff_files(told.files, Random(1))
    files = {"business_units": offices, "managers": managers, "tickets": tickets_file(told, Random(seed), many=many)}
    sent = {name: (f"{name}.csv", text.encode(), "text/csv") for name, text in files.items()}
    base = f"http://127.0.0.1:{session.server.port}"
    with httpx.Client(base_url=base, headers=city.headers, timeout=PATIENCE_SECONDS) as client:
        began = time.perf_counter()
        result = client.post("/upload", files=sent).raise_for_status().json()
        seconds = time.perf_counter() - began
        run: dict[str, Any] = client.get(f"/pipeline-runs/{result['run_id']}").raise_for_status().json()
    assert result["tickets_assigned"] == many, result
    return seconds, run


def _distribute(many: int) -> float:
    """Tickets a second through the rule alone, in this process, with the reasons and steps of each."""
    policy = compile_pack(read_pack("contact_centre")).distribution
    assert policy is not None
    rng = random.Random(7)
    offices = [
        OfficeFacts(UUID(int=n + 1), office.name, rng.uniform(50, 85), rng.uniform(41, 54))
        for n, office in enumerate(read_sample("centre").files.offices)
    ]
    skills = (frozenset({"VIP", "ENG", "KZ"}), frozenset({"KZ"}), frozenset({"ENG", "KZ"}), frozenset[str]())
    positions = ("Главный специалист", "Специалист", "Ведущий специалист")
    managers = [
        ManagerFacts(UUID(int=1_000 + n), f"M{n}", offices[n % 15].id, positions[n % 3], skills[n % 4], n % 7)
        for n in range(51)
    ]
    tickets = [_ticket(rng, UUID(int=10_000 + n)) for n in range(many)]
    began = time.perf_counter()
    distribute(tickets, managers, offices=offices, policy=policy)
    return many / (time.perf_counter() - began)


def _ticket(rng: random.Random, key: UUID) -> TicketFacts:
    place = (rng.randrange(500, 850) / 10, rng.randrange(410, 540) / 10) if rng.random() < 0.9 else (None, None)
    return TicketFacts(
        key,
        rng.choice(("consultation", "complaint", "data_change", "app_failure")),
        rng.randrange(1, 11),
        rng.choice(("Mass", "Mass", "VIP", "Priority")),
        rng.choice(("ru", "ru", "kk", "en")),
        lon=place[0],
        lat=place[1],
        country="KZ",
        quality="town" if place[0] is not None else "none",
    )
