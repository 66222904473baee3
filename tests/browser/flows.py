"""What the flows are told with: a letter's link, a key from its page, and a session as an editor has it.

page.goto(link_in(letters, "ann@new.example"))
converse(laptop.monitor_command(*server, session_id="s1"), laptop.environment)
"""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor

import anyio
import requests
from mcp import Client, StdioServerParameters
from playwright.sync_api import Page, expect

from tests.alerts.receivers import MailServer
from tests.end_to_end.waiting import eventually

PASSWORD = "correct horse battery staple"
KEY = re.compile(r"^km_live_[0-9A-Za-z]{36}$")
_LINK = re.compile(r"https?://[^/\s]+(/\S+)")


def link_in(letters: MailServer, email: str) -> str:
    """The path of the link in the newest letter to `email`, once there is one."""

    def found() -> str:
        bodies = [text for to, text in letters.letters if to == email]
        link = _LINK.search(bodies[-1]) if bodies else None
        return link[1] if link else ""

    return eventually(found, what=f"a letter to {email} with a link")


def sign_in(page: Page, email: str, password: str = PASSWORD, *, to: str = "/app/") -> None:
    """By the form, on the way to a page."""
    page.goto(to)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"**{to}")


def issue_key(page: Page, name: str) -> str:
    """A key made on the keys' page, which is where this begins and ends."""
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Issue the key").click()
    return copied_key(page)


def copied_key(page: Page) -> str:
    """The key that the page shows this once; it is left by its button."""
    shown = page.locator("pre.code")
    expect(shown).to_contain_text(KEY)
    secret = shown.inner_text()
    page.get_by_role("link", name="I have copied it").click()
    return secret


def answer_to(url: str, key: str, body: bytes) -> int:
    """The status of a laptop's request with this key, as the wire has it."""
    headers = {"Authorization": f"Bearer {key}"}
    return requests.post(f"{url}/api/events", data=body, headers=headers, timeout=10).status_code


def converse(command: list[str], environment: dict[str, str]) -> Future[None]:
    """A session of the official SDK's client: the tools, a call that succeeds and one that fails. It runs beside the
    page, in a thread of its own, as Playwright keeps a loop in this one."""
    pool = ThreadPoolExecutor(max_workers=1)
    talk = pool.submit(anyio.run, _talk, command, environment)
    pool.shutdown(wait=False)
    return talk


async def _talk(command: list[str], environment: dict[str, str]) -> None:
    server = StdioServerParameters(command=command[0], args=command[1:], env=environment)
    async with Client(server, mode="legacy", read_timeout_seconds=60) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["get_current_time", "convert_time"]
        right = await client.call_tool("get_current_time", {"timezone": "Europe/Paris"})
        wrong = await client.call_tool("get_current_time", {"timezone": "No/Where"})
        assert (right.is_error, wrong.is_error) == (False, True)
