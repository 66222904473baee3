"""`/metrics` is for the operator's monitoring alone, is Prometheus' text to Prometheus' own parser, and is cheap."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries, Settings

from core.clock import now
from customers import accounts
from events.models import Heartbeat, InboxEntry
from events.sweeper import WORKER, beat
from kmcloud import celery_app, queue_metrics
from kmcloud.roles import EVERYTHING
from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories import rounds
from tests.end_to_end.production_servers import Redis
from tests.plugins_registry.registry import submitted

TOKEN = "a-token-for-prometheus"


def page(**headers: Any) -> Any:
    return Client(SERVER_NAME="localhost", **headers).get("/metrics")


def scraped(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, as Prometheus reads them."""
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(name: str, **labels: str) -> float:
    return scraped(page().content)[name, tuple(sorted(labels.items()))]


def test_this_machine_may_look_by_default_and_others_may_not(db: None) -> None:
    assert page().status_code == 200
    assert page(REMOTE_ADDR="::1").status_code == 200
    refused = page(REMOTE_ADDR="203.0.113.7")
    assert refused.status_code == 403
    assert b"KM_METRICS_TOKEN" in refused.content and b"km_" not in refused.content


@pytest.mark.parametrize("header", ["HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"])
def test_a_stranger_behind_a_proxy_on_this_machine_is_no_neighbour(db: None, header: str) -> None:
    assert page(**{header: "127.0.0.1"}).status_code == 403


def test_with_a_trusted_proxy_the_address_is_the_one_it_saw(db: None, settings: Settings) -> None:
    settings.TRUST_PROXY = True
    assert page(HTTP_X_FORWARDED_FOR="127.0.0.1, 203.0.113.7").status_code == 403
    assert page(HTTP_X_FORWARDED_FOR="not an address").status_code == 403


def test_the_token_opens_from_anywhere_and_only_the_whole_of_it(db: None, settings: Settings) -> None:
    settings.METRICS_TOKEN, settings.METRICS_NETWORKS = TOKEN, []
    assert page().status_code == 403
    assert page(REMOTE_ADDR="203.0.113.7", HTTP_AUTHORIZATION=f"Bearer {TOKEN}").status_code == 200
    for wrong in (f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Bearer ", "Bearer é", TOKEN):
        assert page(HTTP_AUTHORIZATION=wrong).status_code == 403
    settings.METRICS_TOKEN = ""
    assert page(HTTP_AUTHORIZATION="Bearer ").status_code == 403


def test_a_network_of_the_settings_may_look(db: None, settings: Settings) -> None:
    settings.METRICS_NETWORKS = [ip_network("10.0.0.0/8")]
    assert page(REMOTE_ADDR="10.1.2.3").status_code == page(REMOTE_ADDR="::ffff:10.1.2.3").status_code == 200
    assert page(REMOTE_ADDR="127.0.0.1").status_code == page(REMOTE_ADDR="").status_code == 403


@pytest.mark.parametrize(("url", "expected"), [("http://127.0.0.1:8318", "2"), ("https://km.example.org", "0")])
def test_a_public_service_lets_nobody_look_until_it_is_told_whom(tmp_path: Path, url: str, expected: str) -> None:
    """As an operator meets it: a proxy on the same machine makes every stranger's request come from 127.0.0.1."""
    code = "from django.conf import settings; print(len(settings.METRICS_NETWORKS))"
    environment = {**os.environ, "KM_PUBLIC_URL": url, "KM_DATA_DIR": str(tmp_path)}
    environment |= {"DJANGO_SETTINGS_MODULE": "kmcloud.settings"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_requests_are_counted_by_route_and_never_by_address(db: None) -> None:
    before = scraped(page().content)
    ask = Client(SERVER_NAME="localhost")
    for number in range(3):
        ask.get(f"/api/keys/key_{number}")
        ask.get(f"/wp-admin/{number}.php")
    ask.generic("BREW", "/livez")
    after = scraped(page().content)
    changed = {key: after[key] - before.get(key, 0) for key in after if key[0] == "km_http_requests_total"}
    grown = {tuple(dict(labels).values()): count for (_, labels), count in changed.items() if count}
    assert grown["GET", "other", "404"] == 3
    assert grown["other", "livez", "405"] == 1
    assert not [each for each in grown if "key_0" in each[1] or "php" in each[1]]
    assert after["km_http_request_seconds_count", (("route", "other"),)] >= 3


def test_both_of_prometheus_formats_are_understood(db: None) -> None:
    answer = page(HTTP_ACCEPT="application/openmetrics-text; version=1.0.0")
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    assert "km_inbox_rows" in {family.name for family in open_metrics(answer.content.decode())}  # type: ignore[no-untyped-call]
    assert page()["Content-Type"].startswith("text/plain")


def test_what_waits_for_a_review_a_build_or_a_signature_is_told(db: None) -> None:
    acme = accounts.create_customer("Acme", "pro", at=now())
    submitted(acme, at=now() - timedelta(hours=2))
    RepositoryState.objects.create(name="cus_x", dirty_since=now() - timedelta(minutes=10), published_at=now())
    text = scraped(page().content)
    waiting = {dict(labels)["state"]: n for (name, labels), n in text.items() if name == "km_review_queue_revisions"}
    assert sum(waiting.values()) == 1
    oldest = max(n for (name, _), n in text.items() if name == "km_review_queue_age_seconds")
    assert 7100 < oldest < 7300
    assert text["km_signing_queue_repositories", ()] >= 1
    assert text["km_signing_queue_age_seconds", ()] >= 600
    assert text["km_builds", (("kind", "payload"), ("state", "queued"))] == 0
    days = text["km_metadata_expires_seconds", (("repository", "directors"), ("role", "snapshot"))] / 86400
    assert 6.9 < days < 7.1


def test_the_newest_file_of_a_role_says_when_it_expires(db: None) -> None:
    state = RepositoryState.objects.create(name="catalog")
    for version, days in ((1, 1), (2, 30)):
        expires = (now() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        data = b'{"signatures": [], "signed": {"_type": "root", "expires": "%s"}}' % expires.encode()
        MetadataFile.objects.create(
            repository=state, path=f"{version}.root.json", version=version, bytes=data, at=now()
        )
    days_left = value("km_metadata_expires_seconds", repository="catalog", role="root") / 86400
    assert 29.9 < days_left < 30.1


def test_a_deep_inbox_is_estimated_and_not_read_through(
    db: None, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr("events.metrics.COUNTED_ROWS", 10)
    beat(WORKER, now=now() - timedelta(seconds=30))
    moment = now()
    rows = [
        InboxEntry(customer_id=1, received_at=moment, kind="events", events=3, retry_at=moment, body=b"{}")
        for _ in range(25)
    ]
    InboxEntry.objects.bulk_create(rows)
    with django_assert_max_num_queries(20):
        text = scraped(page().content)
    assert (text["km_inbox_rows", ()], text["km_inbox_events", ()]) == (25, 75)
    assert 29 < text["km_heartbeat_age_seconds", (("part", WORKER),)] < 60
    assert Heartbeat.objects.count() == 1


def test_the_counts_of_several_processes_are_one(db: None, settings: Settings) -> None:
    """A second process of the service counts as well, and its count outlives it."""
    before = scraped(page().content).get(("km_ingest_refusals_total", (("code", "of_another_process"),)), 0)
    code = "import django; django.setup(); from events import metrics; metrics.count_refusal('of_another_process')"
    here = {"KM_DATA_DIR": str(settings.DATA_DIR), "DJANGO_SETTINGS_MODULE": "kmcloud.settings"}
    environment = {**os.environ, **here}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert value("km_ingest_refusals_total", code="of_another_process") == before + 2


def test_a_process_that_counts_nothing_leaves_no_file(tmp_path: Path) -> None:
    environment = {**os.environ, "KM_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "kmcloud.settings"}
    subprocess.run([sys.executable, "-c", "import django; django.setup()"], env=environment, check=True)
    assert not list(tmp_path.rglob("*.db"))


def test_a_broker_that_is_away_is_told_and_holds_nothing_up() -> None:
    collector = queue_metrics.QueueCollector("redis://127.0.0.1:1/0")
    assert [(s.name, s.value) for family in collector.collect() for s in family.samples] == [("km_broker_up", 0)]


def test_the_registry_publishes_what_the_page_then_knows(db: None) -> None:
    rounds.publish_everything(at=now())
    assert value("km_signing_queue_repositories") == 0


@pytest.mark.servers
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed")
def test_what_waits_in_redis_is_told_by_queue(tmp_path: Path) -> None:
    broker = Redis(tmp_path)
    broker.start()
    try:
        with celery_app.connection_for_write(broker.url) as connection:
            for _ in range(3):
                celery_app.send_task("registry.build_for", (1,), queue="builds", connection=connection)
        families = list(queue_metrics.QueueCollector(broker.url).collect())
        samples = {tuple(s.labels.values()): s.value for family in families for s in family.samples}
        assert samples == {(): 1, ("builds",): 3} | {(name,): 0 for name in EVERYTHING.queues if name != "builds"}
        broker.freeze()
        assert [s.value for family in queue_metrics.QueueCollector(broker.url).collect() for s in family.samples] == [0]
        broker.thaw()
    finally:
        broker.stop()
