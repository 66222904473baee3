"""The alert rules and the dashboard name nothing that `/metrics` does not say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from core.clock import now
from events import metrics
from events.metrics import count_events, count_refusal
from events.models import Heartbeat
from kmcloud import queue_metrics
from plugins_registry.models import RepositoryState

DOCKER = Path(__file__).resolve().parent.parent.parent / "docker"
ALERTS, DASHBOARD = DOCKER / "prometheus-alerts.yaml", DOCKER / "grafana-dashboard.json"
# Its own, and those that only a Redis, a RabbitMQ or a ClickHouse brings.
ELSEWHERE = {"up", "km_broker_up", "km_celery_queue_messages", "km_event_log_up", "km_event_store_up"}
DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")
NAME = re.compile(r"\b(km_\w+|up)\b")


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


@pytest.fixture
def exported(db: None) -> set[str]:
    """Every sample's name on the page of a service where everything has happened once."""
    count_events(accepted=1, duplicates=1, rejected=1)
    count_refusal("quota_exceeded")
    Heartbeat.objects.create(name="worker", at=now(), pid=1)
    RepositoryState.objects.create(name="cus_x", published_at=now())
    client = Client(SERVER_NAME="localhost")
    client.get("/livez")
    text = client.get("/metrics").content.decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples} | ELSEWHERE


def expressions() -> list[str]:
    return [rule["expr"] for rule in alerts()] + [
        target["expr"] for panel in panels() for target in panel.get("targets", [])
    ]


def test_every_metric_an_alert_or_a_panel_names_exists(exported: set[str]) -> None:
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert named - exported == set()
    assert len(named) > 15


def test_every_label_value_an_expression_asks_for_is_one_we_set() -> None:
    asked = {pair for expression in expressions() for pair in re.findall(r'(\w+)\s*=\s*"([^"]+)"', expression)}
    known = {
        ("job", "kilometers"),
        ("part", "worker"),
        ("outcome", "accepted"),
        ("outcome", "dropped"),
        ("state", "failed"),
        ("repository", "catalog"),
        ("role", "snapshot"),
    }
    assert asked <= known


def test_every_alert_is_a_whole_rule_that_tells_the_next_step() -> None:
    """As Prometheus' rule files are: <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>."""
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) >= 10
    for rule in alerts():
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert DURATION.fullmatch(rule["for"]), rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_panel_has_its_place_and_a_source() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert [target["refId"] for target in panel["targets"]] == list("ABCD"[: len(panel["targets"])])
            assert panel["fieldConfig"]["defaults"]["unit"]


def test_the_gauges_of_other_servers_are_called_what_the_files_call_them() -> None:
    source = Path(queue_metrics.__file__).read_text() + Path(metrics.__file__).read_text()
    assert all(f'"{name}"' in source for name in ELSEWHERE - {"up"})
