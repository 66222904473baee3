"""The first day: an account by a letter, a key, a real client round a real server, and the page that notices."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.alerts.receivers import MailServer
from tests.browser.flows import PASSWORD, converse, issue_key, link_in
from tests.browser.looks import everywhere
from tests.end_to_end.laptop import Laptop
from tests.end_to_end.service import Service

pytestmark = pytest.mark.browser


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """A machine with a home of its own and nothing on it but the client."""
    made = Laptop(tmp_path / "laptop")
    made.environment["HOME"] = str(tmp_path / "home")
    yield made
    made.shut_down()


def test_from_a_sign_up_to_the_waterfall_of_the_first_session(
    context: Callable[..., BrowserContext],
    service: Service,
    letters: MailServer,
    laptop: Laptop,
    pypi_server: dict[str, list[str]],
) -> None:
    page, email, session_id = context().new_page(), f"{uuid.uuid4().hex}@new.example", uuid.uuid4().hex
    page.goto("/app/login")
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Organisation").fill("New Inc")
    page.get_by_role("button", name="Send me a link").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    page.goto(link_in(letters, email))
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", name="Connect your first MCP server")).to_be_visible()
    expect(page.get_by_text("You have no API key yet.")).to_be_visible()
    wrong = everywhere(page, "first-run")

    page.keyboard.press("g")
    page.keyboard.press("c")
    page.get_by_role("link", name="API keys").click()
    done = laptop.km("init", "--api-key", issue_key(page, "Ann’s laptop"), "--api-url", service.url)
    assert done.returncode == 0, done.stderr
    page.get_by_role("link", name="Kilometers").click()
    expect(page.get_by_text("Done: your key was used")).to_be_visible()
    expect(page.get_by_text("Waiting for the first message")).to_be_visible()
    page.evaluate("window.notReloaded = true")
    command = laptop.monitor_command(*pypi_server["time"], session_id=session_id, name="time")
    session = converse(command, laptop.environment)
    expect(page.get_by_text("The first message came")).to_be_visible()
    assert page.evaluate("window.notReloaded === true")
    wrong += everywhere(page, "first-message")
    session.result(timeout=60)

    page.get_by_role("link", name="See the session").click()
    page.wait_for_url(f"**/app/sessions/{session_id}")
    calls = page.locator("#exchanges summary.line", has_text="get_current_time")
    expect(calls).to_have_count(2)
    expect(calls.first.locator(".took")).to_contain_text("ms")
    assert calls.first.locator(".track rect").count() >= 1
    expect(calls.last).to_contain_text("error")
    expect(page.locator("#session-head")).to_contain_text("mcp-time")
    calls.first.click()
    expect(page.locator("#exchanges details[open] .code.pretty").last).to_contain_text("Europe/Paris")
    wrong += everywhere(page, "first-session")
    assert wrong == []
