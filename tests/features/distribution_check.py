"""The contact centre's rules written anew, to check what the product has decided: own distances, loads, turns and split."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import acos, cos, radians, sin
from pathlib import Path
from typing import Any
from uuid import UUID

from conftest import City

CHIEF = "Главный специалист"


def read(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return [{key.strip(): value.strip() for key, value in row.items()} for row in csv.DictReader(file)]


@dataclass
class Centre:
    """A tenant with the real offices and managers, and what the checker knows of them."""

    city: City
    offices: dict[UUID, dict[str, Any]]
    managers: dict[UUID, dict[str, Any]]
    ids: dict[tuple[str, UUID], UUID] = field(default_factory=dict)


def km(one: dict[str, Any], other: dict[str, Any]) -> float:
    """By the law of cosines, unlike the product."""
    a, b = radians(one["lat"]), radians(other["lat"])
    angle = sin(a) * sin(b) + cos(a) * cos(b) * cos(radians(one["lon"] - other["lon"]))
    return 6371 * acos(max(-1.0, min(1.0, angle)))


def may(manager: dict[str, Any], ticket: dict[str, Any]) -> bool:
    """The business's second rule, as its text says it."""
    if ticket["segment"] in ("VIP", "Priority") and "VIP" not in manager["skills"]:
        return False
    if ticket["category"] == "data_change" and manager["position"] != CHIEF:
        return False
    if ticket["language"] == "kk" and "KZ" not in manager["skills"]:
        return False
    return not (ticket["language"] == "en" and "ENG" not in manager["skills"])


@dataclass
class Checker:
    """Follows the decisions in the order they were taken, with its own loads, turns and split."""

    centre: Centre
    loads: dict[UUID, int] = field(default_factory=dict)
    last_given: dict[UUID, int] = field(default_factory=dict)
    split: Counter[str] = field(default_factory=Counter)

    def faults(self, tickets: list[dict[str, Any]], outcome: list[Any]) -> Iterator[str]:
        """What is wrong with the decisions."""
        by_id = {ticket["id"]: ticket for ticket in tickets}
        self.loads = {key: manager["load"] for key, manager in self.centre.managers.items()}
        order = [by_id[one.ticket_id]["priority"] for one in outcome]
        if order != sorted((ticket["priority"] for ticket in tickets), reverse=True):
            yield "not in order of priority"
        for number, one in enumerate(outcome):
            ticket = by_id[one.ticket_id]
            for fault in self.about(ticket, one):
                yield f"{ticket['number']}: {fault}: {one.reason}"
            if one.manager_id is not None:
                self.loads[one.manager_id] += 1
                self.last_given[one.manager_id] = number
        if abs(self.split["Астана"] - self.split["Алматы"]) > 1 or self.split.keys() - {"Астана", "Алматы"}:
            yield f"split {self.split}"

    def about(self, ticket: dict[str, Any], one: Any) -> Iterator[str]:
        offices, managers = self.centre.offices, self.centre.managers
        if ticket["lat"] is None or ticket["country"] != "KZ":
            first = offices[one.primary_office_id]
            self.split[first["name"]] += 1
        else:
            first = min(offices.values(), key=lambda office: km(ticket, office))
        target, able = None, list[UUID]()
        for target in sorted(offices.values(), key=lambda office: km(first, office)):
            able = [key for key, who in managers.items() if who["office"] == target["id"] and may(who, ticket)]
            if able:
                break
        if not able:
            yield from ["nobody may, yet somebody got it"] if one.manager_id else []
            return
        assert target is not None
        if one.manager_id not in able:
            yield f"not of {target['name']} or may not"
            return
        if target["name"] not in one.reason or first["name"] not in one.reason:
            yield "the reason names another office"
        if (target is not first) != ("менеджеров нет, поэтому" in one.reason):
            yield "the reason does not say why another office"
        yield from self.about_turn(able, one)

    def about_turn(self, able: list[UUID], one: Any) -> Iterator[str]:
        pair = [key for key, _, _ in one.candidates]
        if len(pair) != min(2, len(able)) or one.manager_id not in pair:
            yield "the turn was not between two"
        if any(self.loads[key] < max(self.loads[known] for known in pair) for key in able if key not in pair):
            yield "others had less to do than the two"
        latest = max(able, key=lambda key: self.last_given.get(key, -1))
        is_again = latest in self.last_given and one.manager_id == latest
        if is_again and len(pair) > 1:
            yield "it was the other one's turn"
        lowest = min(pair, key=lambda key: self.loads[key])
        if self.loads[one.manager_id] > self.loads[lowest] and self.last_given.get(lowest, -1) != self.last_given.get(
            latest
        ):
            yield "the lowest load had no turn before"


def faults(centre: Centre, tickets: list[dict[str, Any]], outcome: list[Any]) -> list[str]:
    """What is wrong with the decisions."""
    return list(Checker(centre).faults(tickets, outcome))
