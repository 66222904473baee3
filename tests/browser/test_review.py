"""The review pages in a real browser, under the console's policy: a queue, two people's decisions, hostile words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Dialog, Page, expect
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from plugins_registry import review
from plugins_registry.models import Revision
from tests.browser.chromium import CHROMIUM, is_error, profiles
from tests.plugins_registry.console.conftest import own_storage  # noqa: F401 - a fixture
from tests.plugins_registry.console.world import CODE, World, manifest

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
PICTURES = os.environ.get("KM_TEST_PICTURES", "")  # a directory to look at the pages in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


class Desk:
    """A reviewer's browser, and what it complained about."""

    def __init__(self, context: BrowserContext, live: LiveServer) -> None:
        self.context, self.url = context, live.url
        self.complaints: list[str] = []

    def sign_in(self, user: User) -> Page:
        """A page of a profile in which nobody else is signed in."""
        self.context.clear_cookies()
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if is_error(said) else None)
        page.on("dialog", self._dialog)
        page.goto(f"{self.url}/admin/")
        page.fill("[name=username]", user.get_username())
        page.fill("[name=password]", "correct horse battery staple")
        page.click("button[type=submit]")
        return page

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def picture(self, page: Page, name: str) -> None:
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


@pytest.fixture
def desk(live_server: LiveServer) -> Iterator[Desk]:
    with profiles() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        yield Desk(context, live_server)


@pytest.fixture
def revision(db: None) -> tuple[World, Revision]:
    """The second version of a plugin, which asks for more than the first."""
    world = World()
    world.published(world.revision(manifest(version="1.1.0"), {"main.py": CODE.replace(b"eval", b"print")}))
    wide = manifest(permissions={"network": True, "filesystem": False, "system": False}, author=HOSTILE)
    made = world.revision(wide, {"main.py": CODE, "notes.txt": HOSTILE.encode()}, at=now() - timedelta(hours=30))
    world.to_review(made)
    Revision.objects.filter(pk=made.pk).update(risk="high")
    world.finding(made)
    world.finding(
        made, rule="KM201", severity="low", line=5, message=HOSTILE, fingerprint="1" * 64, check_name="secrets"
    )
    return world, made


def test_two_people_decide_in_their_browsers(desk: Desk, revision: tuple[World, Revision]) -> None:
    world, row = revision
    page = desk.sign_in(world.ann)
    page.goto(f"{desk.url}/admin/plugins_registry/revision/")
    desk.picture(page, "queue")
    page.get_by_role("link", name="slow-tools 1.2.0 · 1").click()
    expect(page.get_by_text("widened")).to_be_visible()
    expect(page.get_by_text("alert(2)").first).to_be_visible()
    desk.picture(page, "revision")
    page.get_by_text("Is a false positive").last.click()
    page.get_by_label("is a false positive").last.fill("an example")
    page.get_by_role("button", name="Remember for this plugin").last.click()
    expect(page.get_by_text("false positive", exact=True)).to_be_visible()
    page.get_by_label("approve", exact=True).check()
    page.get_by_role("button", name="Decide the security review").click()
    expect(page.get_by_text("You cannot decide it")).to_be_visible()
    desk.picture(page, "decided")
    page = desk.sign_in(world.bob)
    page.goto(f"{desk.url}/admin/plugins_registry/revision/{row.pk}/change/")
    page.get_by_label("reject", exact=True).check()
    page.get_by_label("Reason").select_option("secrets")
    page.get_by_label("Comment for the author").fill("A key in main.py, line 5.")
    page.get_by_role("button", name="Decide the code review").click()
    expect(page.get_by_text("The code review is decided.")).to_be_visible()
    row.refresh_from_db()
    assert row.state == "rejected"
    assert desk.complaints == []


def test_the_pages_beside_the_queue_open_without_complaint(desk: Desk, revision: tuple[World, Revision]) -> None:
    world, _ = revision
    shelved = Revision.objects.get(state="published")
    page = desk.sign_in(world.cat)
    for name, path in {
        "register": "reviewerkey/register/",
        "keys": "reviewerkey/",
        "stop": f"revision/{shelved.pk}/stop/block/",
        "published": f"revision/{shelved.pk}/change/",
    }.items():
        response = page.goto(f"{desk.url}/admin/plugins_registry/{path}")
        assert response is not None
        assert response.status == 200
        desk.picture(page, name)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 800, "height": 900})
    page.goto(f"{desk.url}/admin/plugins_registry/revision/{revision[1].pk}/change/")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.picture(page, "revision-dark")
    assert desk.complaints == []


def test_an_author_reads_what_was_found_and_appeals(desk: Desk, revision: tuple[World, Revision]) -> None:
    world, row = revision
    page = desk.sign_in(world.carl)
    page.goto(f"{desk.url}/app/plugins/submissions")
    desk.picture(page, "submissions")
    review.decide(row, "security", world.ann, "reject", "secrets", "A key in main.py, line 5.", at=now())
    page.get_by_role("link", name="slow-tools").first.click()
    expect(page.get_by_text("alert(2)").first).to_be_visible()
    page.get_by_label("What was overlooked").fill("It is the documented example.")
    desk.picture(page, "submission")
    page.get_by_role("button", name="Appeal").click()
    expect(page.get_by_text("It is the documented example.")).to_be_visible()
    page.wait_for_load_state()  # its words are there before its look is
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    desk.picture(page, "submission-narrow")
    assert desk.complaints == []
