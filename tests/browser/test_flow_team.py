"""A team: somebody is invited by letter and may what their role says; a key is replaced while laptops still use it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.alerts.receivers import MailServer
from tests.browser.conftest import Complaints, Recording
from tests.browser.flows import PASSWORD, answer_to, copied_key, issue_key, link_in
from tests.browser.looks import everywhere
from tests.dashboard.traffic import Talk
from tests.end_to_end.service import Account, Service
from tests.end_to_end.waiting import eventually

pytestmark = pytest.mark.browser


@pytest.fixture
def team(service: Service) -> Account:
    """An organisation whose people and keys are this test's alone."""
    return service.create_customer("Acme Team")


def test_an_invited_person_sees_what_their_role_may_and_no_more(
    team: Account,
    recording: Recording,
    letters: MailServer,
    context: Callable[..., BrowserContext],
    sign_in: Callable[..., Page],
    complaints: Complaints,
) -> None:
    recording.account = team
    recording.talk.request("tools/call", tool="git_log")
    recording.send()
    bob = f"{uuid.uuid4().hex}@new.example"
    owner = sign_in(context(), team, by_form=True)
    owner.goto("/app/settings/members")
    owner.get_by_label("E-mail").fill(bob)
    owner.locator('form[action$="/invite"] select').select_option("viewer")
    owner.get_by_role("button", name="Send the invitation").click()
    expect(owner.get_by_role("row", name=bob)).to_contain_text("Open")
    wrong = everywhere(owner, "invited")

    page = context().new_page()
    page.goto(link_in(letters, bob))
    expect(page.get_by_role("heading", name="Join Acme Team")).to_be_visible()
    wrong += everywhere(page, "invitation")
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.goto(recording.address)
    expect(page.locator("#exchanges summary.line")).to_contain_text("git_log")
    page.goto("/app/settings/keys")
    expect(page.get_by_role("row", name="first key")).to_be_visible()
    for button in ("Issue the key", "Rotate", "Revoke"):
        expect(page.get_by_role("button", name=button)).to_have_count(0)
    page.goto("/app/settings/members")
    expect(page.get_by_role("button", name="Leave")).to_be_visible()
    expect(page.get_by_role("button", name="Send the invitation")).to_have_count(0)
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    forged = page.request.post("/app/settings/keys/issue", form={"name": "x", "csrfmiddlewaretoken": token})
    assert forged.status == 403
    page.goto("/app/settings/audit")
    expect(page.get_by_role("heading", name="You may not do this")).to_be_visible()
    wrong += everywhere(page, "forbidden")
    complaints.forgive("403 (Forbidden)")

    owner.reload()
    owner.get_by_label(f"Role of {bob}").select_option("admin")
    owner.get_by_role("row", name=bob).get_by_role("button", name="Change role").click()
    expect(owner.get_by_text("The role is changed.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("row", name="member.joined")).to_contain_text(bob)
    page.goto("/app/settings/keys")
    expect(page.get_by_role("button", name="Issue the key")).to_be_visible()
    assert wrong == []


def test_a_key_is_rotated_under_a_laptop_that_uses_it_and_revoked_after(
    team: Account, service: Service, context: Callable[..., BrowserContext], sign_in: Callable[..., Page]
) -> None:
    page = sign_in(context(), team, by_form=True)
    page.goto("/app/settings/keys")
    wrong = everywhere(page, "keys")
    old = issue_key(page, "Fleet")
    assert sends(service, old)
    page.get_by_role("row", name="Fleet").get_by_role("button", name="Rotate").click()
    expect(page.get_by_text("works for 72 hours more")).to_be_visible()
    wrong += everywhere(page, "key-rotated")
    new = copied_key(page)
    assert sends(service, old) and sends(service, new)
    replaced = page.get_by_role("row", name="Being replaced")
    expect(replaced).to_contain_text(old[: len("km_live_") + 4])
    replaced.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("It is refused everywhere within a minute.")).to_be_visible()
    expect(page.get_by_role("row", name="Revoked")).to_contain_text("Fleet")
    eventually(lambda: not sends(service, old), within=60, what="the revoked key is refused")
    assert sends(service, new)
    page.goto("/app/settings/audit?action=api_key")
    for action in ("api_key.issued", "api_key.rotated", "api_key.revoked"):
        expect(page.get_by_role("cell", name=action).first).to_be_visible()
    wrong += everywhere(page, "audit-of-keys")
    assert wrong == []


def test_a_person_of_two_organisations_switches_between_them_in_the_bar(
    team: Account,
    account: Account,
    letters: MailServer,
    context: Callable[..., BrowserContext],
    sign_in: Callable[..., Page],
) -> None:
    host = sign_in(context(), account)
    host.goto("/app/settings/members")
    host.get_by_label("E-mail").fill(team.email)
    host.get_by_role("button", name="Send the invitation").click()
    expect(host.get_by_role("row", name=team.email)).to_be_visible()
    page = sign_in(context("dark", 360), team, by_form=True)
    expect(page.locator(".bar .chooser")).to_have_count(0)
    page.goto(link_in(letters, team.email))
    page.get_by_role("button", name="Join").click()
    chooser = page.get_by_role("button", name="Organisation:")
    expect(chooser).to_have_text("Organisation: Acme Robotics")
    chooser.click()
    menu = page.get_by_role("form", name="Your organisations")
    expect(menu.get_by_role("button")).to_have_text(["Acme Team owner", "Acme Robotics member"])
    wrong = everywhere(page, "organisations")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    chooser.press("Enter")
    menu.get_by_role("button", name="Acme Team").click()
    expect(chooser).to_have_text("Organisation: Acme Team")
    page.goto("/app/settings/usage")
    expect(page.get_by_role("region", name="Plan")).to_contain_text(team.public_id)
    assert wrong == []


def sends(service: Service, key: str) -> bool:
    """Whether the service takes an event with this key: 200, or 401 and nothing else."""
    talk = Talk(uuid.uuid4().hex, started_at=datetime.now(UTC))
    talk.notify("n/heartbeat")
    status = answer_to(service.url, key, talk.take())
    assert status in {200, 401}, status
    return status == 200
