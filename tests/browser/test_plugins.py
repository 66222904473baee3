"""The plugins and the machines in a real Chromium: both themes, narrow and wide, by axe-core, and a machine removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from customers import accounts, api_keys, machines
from customers.api_keys import Issued
from customers.authentication import Principal
from customers.machines import MachineReport, PluginReport
from customers.models import ApiKey, Machine
from plugins_registry import blocks
from plugins_registry.models import Approval, CustomerBuild, Revision
from tests.browser.chromium import CHROMIUM, is_error, profiles
from tests.browser.looks import WIDTHS, as_loaded
from tests.plugins_registry.console.world import World, manifest
from tests.plugins_registry.registry import OwnKey
from tests.plugins_registry.storing import moved

PASSWORD = "correct horse battery staple"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


@dataclass
class Desk:
    """A browser before a service with a catalog and two machines."""

    browser: Browser
    url: str
    world: World
    revision: Revision
    key: Issued
    complaints: list[str] = field(default_factory=list)

    def visitor(self, width: int) -> Page:
        profile = self.browser.new_context(viewport={"width": width, "height": 900}, base_url=self.url)
        page = profile.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if is_error(said) else None)
        page.goto("/app/login")
        page.get_by_label("E-mail").fill("ann@acme.example")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/app/")
        return page

    def addresses(self) -> dict[str, str]:
        plugin = self.revision.version.plugin.public_id
        machine = Machine.objects.get(name="ann-laptop").public_id
        return {
            "plugins": "/app/plugins",
            "plugin": f"/app/plugins/catalog/{plugin}",
            "plugin-version": f"/app/plugins/catalog/{plugin}/{self.revision.public_id}",
            "machines": "/app/settings/machines",
            "machine": f"/app/settings/machines/{machine}",
        }


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, live_server: LiveServer, tmp_path: Path) -> Iterator[Desk]:
    moved(monkeypatch, tmp_path / "registry")
    cache.clear()
    world = World()
    revision = _catalog(world)
    key = api_keys.issue(world.acme, "Ann’s laptop", at=now())
    _machines(world, key)
    accounts.add_member(world.acme, "ann@acme.example", PASSWORD, "owner", at=now())
    with profiles() as browser:
        found = Desk(browser, live_server.url, world, revision, key)
        yield found
    assert found.complaints == []


def _catalog(world: World) -> Revision:
    revision = world.published(
        world.revision(manifest("risk-radar", description="Points out calls that leave the house"))
    )
    for name, features in (("slow-tools", ["api_logging"]), ("fleet-maps", ["advanced_analytics"])):
        asked = {"network": name == "fleet-maps", "filesystem": False, "system": False}
        world.published(
            world.revision(manifest(name, features={"required": features, "optional": []}, permissions=asked))
        )
    gone = world.published(world.revision(manifest("old-faithful", "0.9.0")))
    blocks.block(gone.version.plugin, world.ann, "hard", "sends messages to a stranger", at=now())
    payload = world.build(revision)
    for user in (world.ann, world.bob):
        Approval.objects.create(
            revision=revision,
            platform="any",
            payload_digest=payload.payload_digest,
            envelope=b"{}",
            reviewer_key=OwnKey(user).row,
            at=now(),
        )
    CustomerBuild.objects.create(
        payload=payload,
        customer=world.acme,
        state="built",
        sha256="3f9a" * 16,
        built_at=now(),
        expires_at=now() + timedelta(days=180),
    )
    return revision


def _machines(world: World, key: Issued) -> None:
    who = Principal(world.acme.pk, "", "", "pro", frozenset(), None, 90, frozenset(), 1, key.key.public_id)
    running, barred = (
        PluginReport("risk-radar", "1.2.0", "running"),
        PluginReport("old-faithful", "0.9.0", "blocked", "plugin_blocked"),
    )
    missing = PluginReport("fleet-maps", "1.2.0", "not_entitled", "", ["advanced_analytics"])
    told = MachineReport(
        "a" * 32, "ann-laptop", "Linux 6.1.0-13-amd64", "linux-amd64", "0.1.0", [running, barred, missing]
    )
    machines.report(who, told, at=now())
    machines.seen(who, "b" * 32, "km-client/0.0.9", at=now() - timedelta(days=3))


def test_every_page_fits_and_can_be_read_by_everybody(desk: Desk) -> None:
    wrong = []
    for width in WIDTHS:
        page = desk.visitor(width)
        for name, path in desk.addresses().items():
            page.goto(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            wrong += as_loaded(page, name)
        page.context.close()
    assert wrong == []


def test_from_the_catalog_to_a_machine_that_lacks_a_feature_and_its_removal(desk: Desk) -> None:
    page = desk.visitor(1440)
    page.get_by_role("link", name="Plugins", exact=True).click()
    page.get_by_label("Search by name").fill("fleet")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="fleet-maps").click()
    expect(page.get_by_text("it needs advanced_analytics", exact=True)).to_be_visible()
    page.get_by_role("link", name="ann-laptop").click()
    expect(page.get_by_role("row", name="old-faithful")).to_contain_text("the registry blocks it")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("ann-laptop is removed.")).to_be_visible()
    expect(page.get_by_role("link", name="ann-laptop")).to_have_count(0)
    assert ApiKey.objects.get(pk=desk.key.key.pk).revoked_at is None  # another machine came with it: not ticked
