"""Which office and which manager take a ticket: nearest office, who may, the next office, two lowest loads in turn.

The cascade of a contact centre (R-ASG-05). Pure and deterministic: the same tickets, managers, offices, policy and
state give the same decisions; `Distributed.state` is what the next call starts from. Distances are great circles in km.
"""

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from uuid import UUID

from civicpulse.rules.distribution_facts import (
    DecisionStep,
    Distributed,
    Distribution,
    DistributionPolicy,
    DistributionState,
    EligibilityRule,
    Failure,
    ManagerFacts,
    OfficeFacts,
    TicketFacts,
)
from civicpulse.rules.distribution_texts import joined, sentence, texts_of
from civicpulse.rules.duplicates import distance_m

__all__ = [
    "STEPS",
    "DecisionStep",
    "Distributed",
    "Distribution",
    "DistributionPolicy",
    "DistributionState",
    "EligibilityRule",
    "Failure",
    "ManagerFacts",
    "OfficeFacts",
    "TicketFacts",
    "distribute",
]

# What a pack may name as its assignment steps instead of those of `rules.assignment`.
STEPS = ("nearest_office", "eligibility", "two_in_turn", "lowest_load", "next_office")
QUALITIES = ("none", "region", "town", "house")
NEVER = -1


def distribute(
    tickets: Sequence[TicketFacts],
    managers: Sequence[ManagerFacts],
    *,
    offices: Sequence[OfficeFacts],
    policy: DistributionPolicy,
    state: DistributionState | None = None,
) -> Distributed:
    """Gives each ticket to a manager: highest priority first, equal ones in the order given; loads grow at once.

    The order of `managers` and `offices` does not matter. Every ticket gets a decision with its reason, also when
    nobody may take it. Managers of an office that is not among `offices` get nothing.
    """
    run = _Run(managers, offices, policy, state or DistributionState())
    decisions = tuple(run.decide(ticket) for ticket in sorted(tickets, key=lambda ticket: -ticket.priority))
    after = DistributionState(run.turn, MappingProxyType(run.last_turns), MappingProxyType(run.credits))
    return Distributed(decisions, after, MappingProxyType(run.loads))


class _Run:
    """One call of `distribute`: what changes from ticket to ticket, and what is worked out once for many of them."""

    def __init__(
        self,
        managers: Sequence[ManagerFacts],
        offices: Sequence[OfficeFacts],
        policy: DistributionPolicy,
        state: DistributionState,
    ) -> None:
        self.policy, self.texts = policy, texts_of(policy.language)
        self.offices = sorted(offices, key=lambda office: (office.name, office.id))
        self.placed = [office for office in self.offices if office.lon is not None and office.lat is not None]
        by_name = {office.name: office for office in reversed(self.offices)}
        self.split = [(by_name[name], share) for name, share in policy.split.items() if name in by_name and share > 0]
        self.split_names = joined([office.name for office, _ in self.split], self.texts["and"])
        self.staff: dict[UUID, list[ManagerFacts]] = {office.id: [] for office in offices}
        for manager in sorted(managers, key=lambda manager: (manager.name, manager.id)):
            self.staff.get(manager.office_id, []).append(manager)
        self.loads = {manager.id: manager.load for manager in managers}
        self.turn, self.last_turns, self.credits = state.turn, dict(state.last_turns), dict(state.credits)
        self.nearest: dict[tuple[float, float], tuple[OfficeFacts, float]] = {}
        self.bound: dict[tuple[str | None, str, str | None], tuple[int, ...]] = {}
        self.eligible: dict[tuple[UUID, tuple[int, ...]], list[ManagerFacts]] = {}
        self.failures: dict[tuple[UUID, tuple[int, ...]], tuple[Failure, ...]] = {}
        self.following: dict[UUID, list[tuple[OfficeFacts, float | None]]] = {}

    def decide(self, ticket: TicketFacts) -> Distribution:
        """Goes down the whole cascade for one ticket."""
        if ticket.category in self.policy.unassigned:
            return self._kept(ticket)
        primary, where, said = self._where(ticket)
        if primary is None:
            return Distribution(ticket.id, None, None, None, sentence([said, self.texts["unassigned"]]), (where,))
        rules = self._rules_for(ticket)
        parts, steps = [said, self._needs(ticket, rules)], [where]
        able, office = self._able(primary, rules), primary
        steps.append(self._who_may_step(primary, rules, able))
        if not able and self.policy.next_office:
            office, able = self._next(primary, rules, parts, steps)
        failures = self._failures(primary, rules)
        if not able:
            if not self.policy.next_office:
                parts.append(self.texts["nobody_here"])
            return Distribution(ticket.id, primary.id, None, None, sentence(parts), tuple(steps), failures=failures)
        winner, between = self._who_first(able, parts, steps)
        return Distribution(
            ticket.id, primary.id, office.id, winner.id, sentence(parts), tuple(steps), between, failures
        )

    def _kept(self, ticket: TicketFacts) -> Distribution:
        category = self.policy.labels.get(ticket.category, ticket.category)
        reason = sentence([self.texts["kept"].format(category=category)])
        return Distribution(
            ticket.id,
            None,
            None,
            None,
            reason,
            (DecisionStep("nearest_office", "kept", {"category": ticket.category}),),
        )

    # ------------------------------------------------------------------------------------------------- where

    def _where(self, ticket: TicketFacts) -> tuple[OfficeFacts | None, DecisionStep, str]:
        why = self._why_split(ticket)
        if why is not None:
            return self._by_split(ticket, why)
        assert ticket.lon is not None
        assert ticket.lat is not None
        if not self.placed:
            return None, DecisionStep("nearest_office", "no_offices", {}), self.texts["no_offices"]
        office, km = self._nearest(ticket.lon, ticket.lat)
        is_seat = ticket.quality == "region"
        known = {"km_from_seat" if is_seat else "km": round(km, 1)}
        detail = {"office": office.name, "office_id": str(office.id), **known, "quality": ticket.quality}
        phrase = self.texts["nearest_seat" if is_seat else "nearest"]
        said = phrase.format(office=office.name, km=_whole(km))
        return office, DecisionStep("nearest_office", "nearest", detail), said

    def _why_split(self, ticket: TicketFacts) -> str | None:
        home = self.policy.home_country
        if home is not None and ticket.country is not None and ticket.country != home:
            return "foreign"
        is_vague = QUALITIES.index(ticket.quality) < QUALITIES.index(self.policy.least_quality)
        return "unknown" if ticket.lon is None or ticket.lat is None or is_vague else None

    def _by_split(self, ticket: TicketFacts, why: str) -> tuple[OfficeFacts | None, DecisionStep, str]:
        """Finds the office whose turn it is: each turn every office gains its share, the richest pays for all of them."""
        if not self.split:
            return None, DecisionStep("nearest_office", "nowhere", {"why": why}), self.texts["nowhere"]
        for office, share in self.split:
            self.credits[office.name] = self.credits.get(office.name, 0) + share
        chosen = max((office for office, _ in self.split), key=lambda office: self.credits[office.name])
        self.credits[chosen.name] -= sum(share for _, share in self.split)
        detail = {
            "office": chosen.name,
            "office_id": str(chosen.id),
            "why": why,
            "split": {office.name: share for office, share in self.split},
        }
        said = self.texts[why].format(country=ticket.country, split=self.split_names, office=chosen.name)
        return chosen, DecisionStep("nearest_office", "split", detail), said

    def _nearest(self, lon: float, lat: float) -> tuple[OfficeFacts, float]:
        found = self.nearest.get((lon, lat))
        if found is None:
            distances = [(_km(lon, lat, office), place) for place, office in enumerate(self.placed)]
            km, place = min(distances)
            found = self.nearest[lon, lat] = self.placed[place], km
        return found

    # ------------------------------------------------------------------------------------------------- who may

    def _rules_for(self, ticket: TicketFacts) -> tuple[int, ...]:
        key = (ticket.segment, ticket.category, ticket.language)
        rules = self.bound.get(key)
        if rules is None:
            rules = tuple(index for index, rule in enumerate(self.policy.rules) if rule.binds(ticket))
            self.bound[key] = rules
        return rules

    def _able(self, office: OfficeFacts, rules: tuple[int, ...]) -> list[ManagerFacts]:
        key = (office.id, rules)
        able = self.eligible.get(key)
        if able is None:
            wanted = [self.policy.rules[index] for index in rules]
            able = [one for one in self.staff[office.id] if all(rule.admits(one) for rule in wanted)]
            self.eligible[key] = able
        return able

    def _failures(self, office: OfficeFacts, rules: tuple[int, ...]) -> tuple[Failure, ...]:
        key = (office.id, rules)
        found = self.failures.get(key)
        if found is None:
            found = self.failures[key] = tuple(self._fallen(office, rules))
        return found

    def _fallen(self, office: OfficeFacts, rules: tuple[int, ...]) -> Iterator[Failure]:
        for manager in self.staff[office.id]:
            broken = next((rule for index in rules if not (rule := self.policy.rules[index]).admits(manager)), None)
            if broken is not None:
                yield Failure(manager.id, manager.name, broken.name, _wanted(broken))

    def _needs(self, ticket: TicketFacts, rules: tuple[int, ...]) -> str:
        if not rules:
            return self.texts["no_needs"]
        needs = [self._need(ticket, self.policy.rules[index]) for index in rules]
        return self.texts["needs"].format(needs=joined(needs, self.texts["and"]))

    def _need(self, ticket: TicketFacts, rule: EligibilityRule) -> str:
        value = getattr(ticket, rule.field)
        said = {"field": self.texts[rule.field], "value": self.policy.labels.get(value, value)}
        phrases = [self.texts["skill"].format(skill=rule.skill, **said)] if rule.skill else []
        if rule.positions:
            positions = joined(sorted(rule.positions), self.texts["or"])
            phrases.append(self.texts["positions"].format(positions=positions, **said))
        return joined(phrases, self.texts["and"])

    def _who_may_step(self, office: OfficeFacts, rules: tuple[int, ...], able: list[ManagerFacts]) -> DecisionStep:
        needs = [
            {"rule": rule.name, "field": rule.field, "needs": _wanted(rule)}
            for rule in (self.policy.rules[index] for index in rules)
        ]
        detail = {"office": office.name, "needs": needs, "able": len(able), "staff": len(self.staff[office.id])}
        return DecisionStep("eligibility", "able" if able else "nobody", detail)

    # ------------------------------------------------------------------------------------------------- next office

    def _next(
        self, primary: OfficeFacts, rules: tuple[int, ...], parts: list[str], steps: list[DecisionStep]
    ) -> tuple[OfficeFacts, list[ManagerFacts]]:
        """Finds the first office with somebody able, by distance from `primary`."""
        tried = [primary.name]
        for office, km in self._following(primary):
            able = self._able(office, rules)
            if able:
                detail = {
                    "tried": tried,
                    "office": office.name,
                    "office_id": str(office.id),
                    "km_from_primary": None if km is None else round(km, 1),
                }
                steps.append(DecisionStep("next_office", "found", detail))
                phrase = self.texts["next_far"] if km is None else self.texts["next"]
                parts.append(phrase.format(office=office.name, km=_whole(km or 0)))
                return office, able
            tried.append(office.name)
        steps.append(DecisionStep("next_office", "nobody", {"tried": tried}))
        parts.append(self.texts["nobody"].format(tried=", ".join(tried)))
        return primary, []

    def _following(self, primary: OfficeFacts) -> list[tuple[OfficeFacts, float | None]]:
        found = self.following.get(primary.id)
        if found is None:
            lon, lat = primary.lon, primary.lat
            others = [
                (
                    office,
                    _km(lon, lat, office) if lon is not None and lat is not None and office in self.placed else None,
                )
                for office in self.offices
                if office.id != primary.id
            ]
            found = sorted(others, key=lambda pair: (pair[1] is None, pair[1] or 0.0))
            self.following[primary.id] = found
        return found

    # ------------------------------------------------------------------------------------------------- who first

    def _who_first(
        self, able: list[ManagerFacts], parts: list[str], steps: list[DecisionStep]
    ) -> tuple[ManagerFacts, tuple[tuple[UUID, str, int], ...]]:
        """Lets the two lowest loads take turns: the lowest, unless theirs was the turn before; the load grows at once."""
        loads, last = self.loads, self.last_turns
        ranked = sorted(able, key=lambda one: (loads[one.id], last.get(one.id, NEVER), one.name, one.id))
        pair = ranked[: self.policy.in_turn]
        turns = sorted((last[one.id] for one in able if one.id in last), reverse=True)[: len(pair) - 1]
        winner = next((one for one in pair if last.get(one.id, NEVER) not in turns), pair[0])
        between = tuple((one.id, one.name, loads[one.id]) for one in pair)
        kind = "single" if len(able) == 1 else "turn" if len(pair) > 1 else "lowest"
        said = ", ".join(f"{name} — {load}" for _, name, load in between)
        parts.append(self.texts[kind].format(pair=said, manager=winner.name, load=loads[winner.id]))
        loads[winner.id] += 1
        self.turn += 1
        last[winner.id] = self.turn
        detail = {
            "manager": winner.name,
            "manager_id": str(winner.id),
            "between": [{"manager": name, "load": load} for _, name, load in between],
            "load_after": loads[winner.id],
        }
        steps.append(DecisionStep("two_in_turn" if self.policy.in_turn > 1 else "lowest_load", kind, detail))
        return winner, between


def _km(lon: float, lat: float, office: OfficeFacts) -> float:
    """Measures the great-circle distance from a point to a placed office."""
    assert office.lon is not None
    assert office.lat is not None
    return distance_m(lon, lat, office.lon, office.lat) / 1000


def _whole(km: float) -> int:
    return round(km)


def _wanted(rule: EligibilityRule) -> str:
    wanted = ([rule.skill] if rule.skill else []) + sorted(rule.positions)
    return " + ".join(wanted)
