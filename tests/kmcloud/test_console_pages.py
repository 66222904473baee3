"""The operator's console: what needs somebody, health with its history, quarantine looked at and given up on record."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.contrib.auth.models import Permission, User
from django.test import Client

from core.clock import now
from customers import accounts, machines, what_if
from customers.authentication import Principal
from customers.machines import MachineReport, PluginReport
from customers.models import AuditEntry, Customer, Subscription, Tier
from customers.subscriptions import Terms
from events import quarantine_acts
from events.models import DailyRollup, InboxEntry, QuarantinedEntry
from events.sweeper import WORKER, beat
from kmcloud import health, health_history
from kmcloud.admin_start import needs
from kmcloud.models import HealthChange
from kmcloud.tasks import note_health
from plugins_registry.models import BuildState, PayloadBuild
from tests.plugins_registry.console.world import World, manifest
from tests.plugins_registry.storing import moved

SECRET = b'{"events": [{"message": "the customer\'s own words \x1b[2J"}]}'
QUARANTINE = "/admin/events/quarantinedentry"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def broker_in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test looks at the developer's broker, and a proof of an earlier test is none for this one."""
    monkeypatch.setattr(health, "check_broker", lambda: health.Check("ok", "reachable"))
    health._Proof.at = float("-inf")
    yield
    health._Proof.at, health._Proof.seconds = float("-inf"), 0.0


@pytest.fixture
def acme() -> Customer:
    return accounts.create_customer("Acme", "pro", at=now())


@pytest.fixture
def ops() -> Client:
    return signed_in(User.objects.create(username="ops", is_staff=True, is_superuser=True))


def signed_in(user: User) -> Client:
    browser = Client()
    browser.force_login(user)
    return browser


def operator(name: str, *permissions: str) -> User:
    user = User.objects.create(username=name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return User.objects.get(pk=user.pk)


def quarantined(customer: Customer, body: bytes = SECRET, encoding: str = "") -> QuarantinedEntry:
    at = now()
    return QuarantinedEntry.objects.create(
        customer_id=customer.pk,
        received_at=at,
        kind="events",
        encoding=encoding,
        events=3,
        attempts=4,
        retry_at=at,
        error="ValueError: no such column",
        body=body,
        quarantined_at=at,
    )


def page(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.content.decode()


class TestQuarantine:
    def test_no_page_but_the_one_asked_for_shows_a_body(self, ops: Client, acme: Customer) -> None:
        row = quarantined(acme)
        for path in (f"{QUARANTINE}/", f"{QUARANTINE}/{row.pk}/change/", f"{QUARANTINE}/{row.pk}/look/"):
            shown = page(ops, path)
            assert "own words" not in shown
            assert "events" in shown
        assert "Acme" in page(ops, f"{QUARANTINE}/")
        assert "no such column" in page(ops, f"{QUARANTINE}/{row.pk}/change/")
        assert not AuditEntry.objects.filter(action="quarantine.looked_at").exists()
        answer = ops.post(f"{QUARANTINE}/{row.pk}/look/")
        assert "the customer&#x27;s own words �[2J" in answer.content.decode()
        assert "no-store" in answer["Cache-Control"]
        entry = AuditEntry.objects.get(action="quarantine.looked_at")
        assert (entry.actor, entry.customer_public_id) == ("user:ops", acme.public_id)

    @pytest.mark.parametrize(
        ("encoding", "body"),
        [("", SECRET), ("gzip", gzip.compress(SECRET)), ("zstd", zstandard.compress(SECRET))],
        ids=["plain", "gzip", "zstd"],  # gzip writes down the second: each worker would collect another test
    )
    def test_a_beginning_is_read_whatever_it_is_packed_in(self, acme: Customer, encoding: str, body: bytes) -> None:
        seen = quarantine_acts.beginning(quarantined(acme, body, encoding))
        assert ("own words" in seen.text, seen.whole, seen.fault) == (True, True, "")

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    def test_a_bomb_is_inflated_as_far_as_it_is_shown(self, acme: Customer, encoding: str) -> None:
        zeros = b"0" * 200_000_000 if encoding == "gzip" else b"0" * 50_000_000
        body = gzip.compress(zeros, 1) if encoding == "gzip" else zstandard.compress(zeros)
        seen = quarantine_acts.beginning(quarantined(acme, body, encoding))
        assert (len(seen.text), seen.whole) == (quarantine_acts.SHOWN_BYTES, False)

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    def test_what_is_not_packed_as_it_says_is_shown_as_it_came(self, acme: Customer, encoding: str) -> None:
        seen = quarantine_acts.beginning(quarantined(acme, b"\xff\x00 plain <b>", encoding))
        assert encoding in seen.fault
        assert seen.text == "�� plain <b>"

    def test_one_is_put_back_and_one_is_given_up_with_a_reason(self, ops: Client, acme: Customer) -> None:
        back, gone = quarantined(acme), quarantined(acme)
        ops.post(f"{QUARANTINE}/{back.pk}/redrive/")
        assert InboxEntry.objects.get().attempts == 0
        path = f"{QUARANTINE}/{gone.pk}/give_up/"
        assert "required" in ops.post(path, {"reason": " "}).content.decode()
        assert QuarantinedEntry.objects.filter(pk=gone.pk).exists()
        ops.post(path, {"reason": "a client nobody has"})
        assert not QuarantinedEntry.objects.exists()
        entries = {entry.action: entry for entry in AuditEntry.objects.filter(subject__startswith="quarantine:")}
        assert entries["quarantine.redriven"].actor == "user:ops"
        assert entries["quarantine.deleted"].details["reason"] == "a client nobody has"
        assert ops.post(path, {"reason": "again"}).status_code == 404

    def test_each_act_needs_its_own_permission(self, acme: Customer) -> None:
        row = quarantined(acme)
        viewer = signed_in(operator("viewer", "view_quarantinedentry"))
        worker = signed_in(operator("worker", "view_quarantinedentry", "change_quarantinedentry"))
        for act in ("redrive", "look", "give_up"):
            assert viewer.post(f"{QUARANTINE}/{row.pk}/{act}/", {"reason": "x"}).status_code == 403
        assert worker.post(f"{QUARANTINE}/{row.pk}/give_up/", {"reason": "x"}).status_code == 403
        bulk = {"action": "redrive_all", "_selected_action": [row.pk]}
        assert viewer.post(f"{QUARANTINE}/", bulk).status_code == 403
        assert worker.post(f"{QUARANTINE}/{row.pk}/look/").status_code == 200
        assert QuarantinedEntry.objects.count() == 1


class TestHealth:
    def test_the_page_tells_all_of_health_and_what_it_was_before(self, ops: Client) -> None:
        beat(WORKER, now=now())
        HealthChange.objects.create(name="worker", status="degraded", detail="no worker runs", at=now())
        shown = page(ops, "/admin/health/")
        for words in ("reads and writes", "beats", "no worker runs", "every queue is empty", "InboxLog"):
            assert words in shown
        assert [row.status for row in HealthChange.objects.filter(name="worker").order_by("id")] == ["degraded", "ok"]

    def test_whoever_may_not_look_at_heartbeats_sees_nothing(self) -> None:
        assert signed_in(operator("clerk", "view_customer")).get("/admin/health/").status_code == 403
        assert Client().get("/admin/health/").status_code == 302
        assert signed_in(operator("watcher", "view_heartbeat")).get("/admin/health/").status_code == 200

    def test_a_change_is_written_once_whoever_asks_and_goes_after_a_month(self) -> None:
        at = now()
        good, bad = {"worker": health.Check("ok", "runs")}, {"worker": health.Check("degraded", "silent")}
        assert [health_history.note(checks, at=at) for checks in (good, good, bad, bad, good)] == [1, 0, 1, 0, 1]
        assert health_history.forget(before=at + timedelta(days=1)) == 2
        assert HealthChange.objects.get().status == "ok"  # how it stands is kept, however old

    def test_a_probe_and_the_task_write_it_too(self) -> None:
        assert Client(SERVER_NAME="localhost").get("/health").status_code == 200
        assert HealthChange.objects.filter(name="worker", status="degraded").count() == 1
        note_health()
        assert HealthChange.objects.filter(name="worker").count() == 1


class TestStart:
    @pytest.fixture
    def world(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
        moved(monkeypatch, tmp_path / "registry")
        return World()

    def test_where_all_is_well_it_says_so(self, ops: Client) -> None:
        beat(WORKER, now=now())
        assert "No review waits" in page(ops, "/admin/")

    def test_it_names_what_waits_with_where_to_go(self, ops: Client, world: World) -> None:
        beat(WORKER, now=now() - timedelta(hours=1))
        revision = world.to_review(world.revision())
        PayloadBuild.objects.update_or_create(
            revision=revision, platform="any", defaults={"state": BuildState.FAILED, "source_sha256": "0" * 64}
        )
        quarantined(world.acme)
        Subscription.objects.update(state="past_due")
        shown = page(ops, "/admin/")
        for words in ("no worker runs", "could not be stored", "wait for a review", "failed; each has", "past due"):
            assert words in shown
        for need in needs(User.objects.get(username="ops"), at=now()):
            assert ops.get(need.href).status_code == 200, need

    def test_one_is_told_only_of_what_one_may_look_at(self, world: World) -> None:
        world.to_review(world.revision())
        quarantined(world.acme)
        clerk = operator("clerk", "view_subscription")
        assert needs(clerk, at=now()) == []
        assert [need.title for need in needs(world.ann, at=now())] == ["Reviews"]
        assert "could not be stored" not in page(signed_in(clerk), "/admin/")


class TestWhatIf:
    """What the rooms say of a change of tier; the steps of the page are in tests/customers/test_console.py."""

    @pytest.fixture
    def world(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
        moved(monkeypatch, tmp_path / "registry")
        return World()

    def preview(self, customer: Customer, tier: str, at: datetime) -> what_if.Preview:
        subscription = Subscription.objects.select_related("tier", "customer").get(customer=customer)
        return what_if.of_terms(subscription, Terms(Tier.objects.get(code=tier)), at=at)

    def test_it_counts_the_events_that_would_be_deleted_and_says_when(self, acme: Customer) -> None:
        at = datetime.fromisoformat("2026-11-22T15:20:00+00:00")
        for age, events in ((1, 5), (6, 7), (8, 1000), (60, 234)):
            DailyRollup.objects.create(
                customer_id=acme.pk, at=at.replace(hour=0, minute=0) - timedelta(days=age), events=events, server="s"
            )
        losses = [effect.text for effect in self.preview(acme, "free", at).losses]
        assert "1,234 events of 2 days are deleted from 22 Nov 2026, 16:17 UTC on, for good" in losses
        up = self.preview(acme, "enterprise", at)
        assert not up.losses
        assert "does not come back" in up.notes[0].text

    def test_it_names_the_plugins_that_would_stop_and_where_they_are(self, world: World) -> None:
        paid = manifest(features={"required": ["api_logging"], "optional": []})
        world.build(world.published(world.revision(paid)))
        who = Principal(world.acme.pk, "", "", "pro", frozenset(), None, 90, frozenset(), 1, "key_1")
        told = MachineReport("m1", plugins=[PluginReport("slow-tools", "1.2.0", "running")])
        machines.report(who, told, at=now())
        losses = [effect.text for effect in self.preview(world.acme, "free", now()).losses]
        stops = "the plugin slow-tools stops with the next refresh: it needs api_logging; on 1 machine now"
        assert stops in losses
        assert not [text for text in losses if "plugin" in text and text != stops]

    def test_nothing_is_written_by_looking(self, acme: Customer, django_assert_max_num_queries: Any) -> None:
        before = list(Subscription.objects.values()), AuditEntry.objects.count()
        with django_assert_max_num_queries(30):
            self.preview(acme, "free", now())
        assert (list(Subscription.objects.values()), AuditEntry.objects.count()) == before
