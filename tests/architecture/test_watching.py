"""Alerts and dashboard ask for figures that are there, and each alert is explained (R-OPS-22)."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

import civicpulse.worker  # noqa: F401 - counts of its own, which it serves on a port of its own
from civicpulse.audit.jobs import measure as measure_chains
from civicpulse.base.doors.health import Health
from conftest import City

ROOT = Path(__file__).resolve().parents[2]
ALERTS = yaml.safe_load((ROOT / "ops" / "alerts.yml").read_text(encoding="utf-8"))
BOARD = json.loads((ROOT / "ops" / "grafana.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def rules() -> list[dict[str, Any]]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


def asked() -> list[str]:
    """What alerts and dashboard ask Prometheus."""
    return [rule["expr"] for rule in rules()] + [
        target["expr"] for panel in BOARD["panels"] for target in panel["targets"]
    ]


async def test_each_figure_that_is_asked_for_is_exported(city: City) -> None:
    health = Health(city.services.db, [measure_chains], keep=0, limit=60)
    families = list(text_string_to_metric_families((await health.figures()).decode()))
    await health.close()
    exported = {
        family.name + ending
        for family in families
        if family.name.startswith("civicpulse_")
        for ending in ENDINGS[family.type]
    }
    wanted = {name for expression in asked() for name in re.findall(r"\bcivicpulse_\w+", expression)}
    assert wanted - exported == set()
    queues = {sample.labels["queue"] for family in families for sample in family.samples if "queue" in sample.labels}
    named = [re.search(r'queue(?:=|=~|!~)"([^"]+)"', expression) for expression in asked()]
    assert {queue for found in named if found for queue in found[1].split("|")} - queues == set()


def test_each_alert_is_complete_and_explained() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == names
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "warn")
        assert rule["annotations"]["summary"]


def test_the_page_names_only_figures_that_are_asked_for() -> None:
    known = " ".join(asked())
    assert [name for name in re.findall(r"\bcivicpulse_\w+", PAGE) if name not in known] == []
