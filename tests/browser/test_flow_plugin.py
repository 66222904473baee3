"""A plugin's way: submitted by its author's client, decided by two people in their browsers, published, on the shelf.

What takes minutes in service, a fleet's builds and laptops, is `tests/end_to_end`'s to prove. Here the checks and the
build are called as a worker would, and the reviewers' keys are in memory; every signature is made and checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from km_protocol.kmpkg import dsse
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from customers import accounts, api_keys
from customers.models import Customer
from customers.scopes import Scope
from plugins_registry import approvals, scanning
from plugins_registry.building import payloads
from plugins_registry.inspection import box
from plugins_registry.models import Revision
from plugins_registry.repositories import rounds
from tests.browser.chromium import CHROMIUM, is_error, profiles
from tests.browser.flows import PASSWORD, sign_in
from tests.browser.looks import everywhere
from tests.end_to_end.laptop import Laptop
from tests.plugins_registry.console.conftest import own_storage  # noqa: F401 - a fixture
from tests.plugins_registry.console.test_release import own_signers  # noqa: F401 - a fixture
from tests.plugins_registry.console.world import REVIEWER_PERMISSIONS
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
    pytest.mark.skipif(not box.has_namespaces(), reason="bubblewrap is not installed, or not permitted"),
]


@dataclass
class House:
    """Browsers before the service, one profile a person, and what their consoles complained about."""

    browser: Browser
    url: str
    complaints: list[str]

    def enter(self, name: str, to: str = "/app/") -> Page:
        page = self.browser.new_context(viewport={"width": 1440, "height": 900}, base_url=self.url).new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if is_error(said) else None)
        sign_in(page, name, to=to)
        return page


@pytest.fixture
def house(live_server: LiveServer) -> Iterator[House]:
    """Closed before the database is emptied."""
    with profiles() as browser:
        found = House(browser, live_server.url, [])
        yield found
    assert found.complaints == []


@pytest.fixture
def registry(db: None, tmp_path: Path) -> Founded:
    """Founded by its people; its two reviewers work in the console."""
    (tmp_path / "ceremonies").mkdir()
    founded = world.found(tmp_path / "ceremonies", at=now())
    for row in founded.reviewer_rows:
        user = User.objects.get(pk=row.user_id)
        user.is_staff = True
        user.set_password(PASSWORD)
        user.save()
        user.user_permissions.set(Permission.objects.filter(codename__in=REVIEWER_PERMISSIONS))
    return founded


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path / "laptop")


def organisation(name: str) -> Customer:
    made = accounts.create_customer(name, "pro", at=now())
    accounts.add_member(made, f"owner@{name.lower()}.example", PASSWORD, "owner", at=now())
    return made


def submitted(author: Customer, laptop: Laptop, url: str, place: Path) -> Revision:
    """A project as `km-client plugin new` makes it, sent by `km-client plugin submit`."""
    key = api_keys.issue(author, "author", at=now(), scopes=[Scope.PLUGINS_SUBMIT]).secret
    laptop.environment |= {"KM_API_URL": url, "KM_API_KEY": key}
    made = laptop.km("plugin", "new", "--lang", "python", "slow-tools", "--directory", str(place))
    assert made.returncode == 0, made.stderr
    sent = laptop.km("plugin", "submit", str(place / "slow-tools"), "--json")
    assert sent.returncode == 0, sent.stderr
    return Revision.objects.get(public_id=json.loads(sent.stdout)["id"])


def decided(page: Page, revision: Revision, kind: str) -> None:
    """A reviewer reads the queue, opens the revision and approves."""
    page.goto("/admin/plugins_registry/revision/")
    page.get_by_role("link", name="slow-tools").first.click()
    page.get_by_label("approve", exact=True).check()
    page.get_by_role("button", name=f"Decide the {kind} review").click()
    expect(page.get_by_text(f"The {kind} review is decided.")).to_be_visible()
    revision.refresh_from_db()


def built_and_signed(revision: Revision, registry: Founded) -> None:
    """As a worker builds it, and both reviewers put their keys under it and under the catalog that lists it."""
    payload = revision.payloads.get()
    assert payloads.build_payload(payload.pk, clock=now), payload.log
    payload.refresh_from_db()
    for person in registry.reviewers:
        approvals.record_approval(revision, dsse.sign(approvals.statement_for(payload), [person]), at=now())
    registry.review(at=now())
    rounds.publish_everything(at=now())
    revision.refresh_from_db()


def test_from_its_author_through_two_reviews_into_the_catalog(
    house: House, registry: Founded, laptop: Laptop, tmp_path: Path
) -> None:
    author, _ = organisation("Acme"), organisation("Globex")
    revision = submitted(author, laptop, house.url, tmp_path)
    assert scanning.scan(revision.pk) == "security_review"
    carl = house.enter("owner@acme.example")
    carl.goto("/app/plugins/submissions")
    expect(carl.get_by_role("row", name="slow-tools")).to_contain_text("security review")
    wrong = everywhere(carl, "submissions")
    carl.get_by_role("link", name="slow-tools").click()
    buyer = house.enter("owner@globex.example")
    buyer.goto("/app/plugins")
    expect(buyer.get_by_role("link", name="slow-tools")).to_have_count(0)

    rita, rolf = (house.enter(row.user.get_username(), to="/admin/") for row in registry.reviewer_rows)
    decided(rita, revision, "security")
    expect(rita.get_by_text("You cannot decide it")).to_be_visible()
    assert revision.state == "code_review"
    decided(rolf, revision, "code")
    assert revision.state == "certified"
    built_and_signed(revision, registry)
    assert revision.state == "published"

    carl.reload()
    expect(carl.locator(".page-head .badge")).to_have_text("published")
    wrong += everywhere(carl, "submission-published")
    buyer.reload()
    row = buyer.get_by_role("row", name="slow-tools")
    expect(row).to_contain_text("In your plan")
    row.get_by_role("link", name="slow-tools").click()
    expect(buyer.get_by_text("Acme", exact=True).first).to_be_visible()
    buyer.get_by_role("link", name=revision.version.number).first.click()
    for reviewer in registry.reviewer_rows:
        expect(buyer.get_by_text(reviewer.key_id[:8]).first).to_be_visible()
    wrong += everywhere(buyer, "version-published")
    assert wrong == []
