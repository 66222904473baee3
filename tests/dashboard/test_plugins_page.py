"""The catalog of a customer: what may run here and why not, who vouched, where it is installed; nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from core.clock import now as present
from customers import accounts, api_keys, machines
from customers.authentication import Principal
from customers.machines import MachineReport, PluginReport
from customers.models import ApiKey, Customer, Feature, Machine
from plugins_registry import blocks
from plugins_registry.models import CustomerBuild, Plugin, Revision
from tests.plugins_registry.console.world import World, manifest
from tests.plugins_registry.storing import moved

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def world(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    moved(monkeypatch, tmp_path / "registry")
    return World()


@pytest.fixture
def slow_tools(world: World) -> Revision:
    """Published: two versions, the newer needs a paid feature."""
    world.published()
    newer = manifest(version="1.10.0", features={"required": ["advanced_analytics"], "optional": []})
    newer["permissions"] = {"network": True, "filesystem": False, "system": False}
    revision = world.published(world.revision(newer))
    world.build(revision)
    return revision


def report(customer: Customer, machine: str, *plugins: PluginReport, key: str = "key_1") -> Machine:
    who = Principal(customer.pk, customer.public_id, "", "pro", frozenset(), None, 90, frozenset(), 1, key)
    machines.report(who, MachineReport(machine, name=f"{machine}-laptop", plugins=list(plugins)), at=present())
    return Machine.objects.get(customer=customer, machine=machine)


def page(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.content.decode()


def test_an_empty_catalog_names_the_next_step(browser: Client) -> None:
    assert "km-client plugin new" in page(browser, "/app/plugins")
    assert "has “" not in page(browser, "/app/plugins")
    assert "in its name" in page(browser, "/app/plugins?q=slow")


def test_the_list_says_what_the_plan_includes_and_what_it_would_need(browser: Client, slow_tools: Revision) -> None:
    shown = page(browser, "/app/plugins")
    assert "slow-tools" in shown
    assert "1.10.0" in shown  # by SemVer, not by its letters
    assert "Needs Enterprise" in shown
    assert "slow-tools" not in page(browser, "/app/plugins?q=fast")
    assert "slow-tools" in page(browser, "/app/plugins?q=SLOW")


def test_a_plugins_page_tells_permissions_in_words_and_where_it_is_disabled(
    browser: Client, customer: Customer, slow_tools: Revision
) -> None:
    plugin = slow_tools.version.plugin
    report(customer, "m1", PluginReport("slow-tools", "1.10.0", "not_entitled", "", ["advanced_analytics"]))
    report(customer, "m2", PluginReport("slow-tools", "1.2.0", "running"))
    shown = page(browser, f"/app/plugins/catalog/{plugin.public_id}")
    for words in ("opens connections to the network", "m1-laptop", "Not in your plan", "it needs advanced_analytics"):
        assert words in shown
    assert "1 not running" in page(browser, "/app/plugins")
    Customer.objects.get(pk=customer.pk).subscription.tier.features.add(Feature.objects.get(code="advanced_analytics"))
    assert "km-client plugins install slow-tools" in page(browser, f"/app/plugins/catalog/{plugin.public_id}")


def test_a_versions_page_tells_who_certified_what(browser: Client, slow_tools: Revision) -> None:
    path = f"/app/plugins/catalog/{slow_tools.version.plugin.public_id}/{slow_tools.public_id}"
    shown = page(browser, path)
    for words in (slow_tools.source_id, "1 of 3 passed", "same bytes", "nobody yet"):
        assert words in shown


def test_what_was_stopped_stays_listed_with_why(browser: Client, world: World, slow_tools: Revision) -> None:
    plugin = slow_tools.version.plugin
    blocks.block(plugin, world.ann, "hard", f"steals tokens {HOSTILE}", at=present())
    shown = page(browser, f"/app/plugins/catalog/{plugin.public_id}")
    assert "Blocked (hard): <bdi>steals tokens &lt;script&gt;" in shown
    assert "km-client plugins install" not in shown
    assert "Blocked" in page(browser, "/app/plugins")


def test_another_customers_private_plugin_and_one_never_published_do_not_exist(
    browser: Client, customer: Customer, stranger: Customer, world: World, slow_tools: Revision
) -> None:
    draft = world.revision(manifest("not-yet"))
    hidden = world.published(world.revision(manifest("secret-tool"), owner=stranger))
    Plugin.objects.filter(pk=hidden.version.plugin_id).update(visibility="private")
    for plugin in (draft.version.plugin, hidden.version.plugin):
        assert browser.get(f"/app/plugins/catalog/{plugin.public_id}").status_code == 404
    assert "secret-tool" not in page(browser, "/app/plugins")
    path = f"/app/plugins/catalog/{slow_tools.version.plugin.public_id}/{hidden.public_id}"
    assert browser.get(path).status_code == 404
    for bad in ("plg_nobody", "plg_%00", "é" * 300):
        assert browser.get(f"/app/plugins/catalog/{bad}").status_code == 404
    for cursor in ("x", "WyJhIiwgMV0", "WyJcdTAwMDAiLDFd", "9" * 600):
        assert browser.get(f"/app/plugins?after={cursor}").status_code in {200, 400}


def test_ones_own_builds_are_there_and_another_customers_are_not(
    browser: Client, customer: Customer, stranger: Customer, world: World, slow_tools: Revision
) -> None:
    payload = slow_tools.payloads.get()
    for owner, digest in ((customer, "ab" * 32), (stranger, "cd" * 32)):
        CustomerBuild.objects.create(payload=payload, customer=owner, state="built", sha256=digest, built_at=present())
    shown = page(browser, f"/app/plugins/catalog/{slow_tools.version.plugin.public_id}")
    assert "abab" in shown
    assert "cdcd" not in shown


def test_hostile_words_of_a_manifest_stay_words(browser: Client, world: World) -> None:
    hostile = manifest(description=f"{HOSTILE}\u202e evil", author=HOSTILE)
    revision = world.published(world.revision(hostile))
    for path in ("", f"/catalog/{revision.version.plugin.public_id}"):
        shown = page(browser, f"/app/plugins{path}")
        assert "<script>alert" not in shown
        assert "\u202e" not in shown
        assert " style=" not in shown


def test_the_pages_ask_as_many_questions_for_many_as_for_one(
    browser: Client, customer: Customer, world: World, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        revision = world.published(world.revision(manifest(f"tool-{number}")))
        world.build(revision)
        report(customer, f"m{number}", *(PluginReport(f"tool-{each}", "1.2.0", "running") for each in range(12)))
    plugin = revision.version.plugin.public_id
    for path, most in (
        ("plugins", 14),
        (f"plugins/catalog/{plugin}", 14),
        (f"plugins/catalog/{plugin}/{revision.public_id}", 18),
        ("settings/machines", 6),
    ):
        with django_assert_max_num_queries(most):
            page(browser, f"/app/{path}")


def test_a_machine_is_shown_with_its_plugins_and_removed_with_its_key(
    browser: Client, customer: Customer, now: datetime
) -> None:
    key = api_keys.issue(customer, "ann", at=now).key
    plugin = PluginReport("slow-tools", "1.2.0", "refused", "settings_invalid")
    row = report(customer, "m1", plugin, key=key.public_id)
    report(customer, "m2", key=key.public_id)
    shown = page(browser, f"/app/settings/machines/{row.public_id}")
    for words in (
        "m1-laptop",
        "its settings on that machine are wrong",
        "1 other machine came with the same key",
        "m2-laptop",
    ):
        assert words in shown
    assert "m1-laptop" in page(browser, "/app/settings/machines")
    answer = browser.post(f"/app/settings/machines/{row.public_id}/remove", {"revoke_key": "on"}, follow=True)
    assert "refused everywhere within a minute" in answer.content.decode()
    assert ApiKey.objects.get().revoked_at is not None
    assert [each.machine for each in Machine.objects.all()] == ["m2"]


def test_of_the_key_of_a_machine_that_is_removed_only_what_is_true_is_said(
    browser: Client, customer: Customer, now: datetime
) -> None:
    works = api_keys.issue(customer, "ann", at=now).key
    over = api_keys.issue(customer, "old", at=now - timedelta(days=2), expires_at=now - timedelta(days=1)).key
    logged_out = api_keys.issue(customer, "bob", at=now, kind="inst").key
    api_keys.revoke(logged_out, at=now)
    for key, is_said in ((works, True), (over, False), (logged_out, False)):
        row = report(customer, f"m-{key.public_id}", key=key.public_id)
        answer = browser.post(f"/app/settings/machines/{row.public_id}/remove", follow=True).content.decode()
        assert "is removed." in answer
        assert ("Its key still works." in answer) is is_said, key.name


def test_a_machine_seen_long_ago_is_away_and_hostile_words_stay_words(browser: Client, customer: Customer) -> None:
    row = report(customer, HOSTILE, PluginReport(HOSTILE, HOSTILE, HOSTILE, HOSTILE, [HOSTILE]))
    Machine.objects.update(last_seen_at=present() - timedelta(days=2))
    for path in ("", f"/{row.public_id}"):
        shown = page(browser, f"/app/settings/machines{path}")
        assert "away" in shown
        assert "<script>alert" not in shown


def test_another_customers_machine_is_absent_and_a_member_removes_none(
    sign_in: Callable[..., Client], customer: Customer, stranger: Customer
) -> None:
    theirs, ours = report(stranger, "m1"), report(customer, "m1")
    owner, member = sign_in(customer), sign_in(customer, "member")
    assert owner.get(f"/app/settings/machines/{theirs.public_id}").status_code == 404
    assert owner.post(f"/app/settings/machines/{theirs.public_id}/remove").status_code == 404
    assert member.post(f"/app/settings/machines/{ours.public_id}/remove").status_code == 403
    assert "Remove this machine" not in page(member, f"/app/settings/machines/{ours.public_id}")
    assert Machine.objects.count() == 2


def test_a_customer_without_a_machine_is_told_the_next_step(browser: Client, now: datetime) -> None:
    accounts.create_customer("Nobody", "free", at=now)
    assert "km-client login" in page(browser, "/app/settings/machines")
