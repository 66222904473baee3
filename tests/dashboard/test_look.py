"""What holds on every page: nothing inline, nothing foreign, nothing unescaped, and ink one can read in both themes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.test import Client

from customers import api_keys
from customers.models import Customer
from tests.dashboard.traffic import Talk

STATIC = Path(__file__).resolve().parent.parent.parent / "dashboard" / "static" / "dashboard"
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
PAGES = {
    "overview": "/app/",
    "overview of an hour": "/app/?range=1h",
    "events": "/app/events",
    "events filtered": "/app/events?tool=%3Cscript%3Ealert(1)%3C/script%3E",
    "events of a session": "/app/events?session=%22%3E%3Cscript%3Ealert(1)&from=2016-11-22T00:00",
    "events poll": "/app/live/events?seen=0",
    "event": "/app/events/ID",
    "event opened": "/app/events/ID/opened",
    "first event": "/app/first-event",
    "bad filter": "/app/events?type=%3Cscript%3Ealert(1)",
    "bad range": "/app/?range=%3Cscript%3Ealert(1)",
    "components": "/app/components",
    "sessions": "/app/sessions",
    "filtered": "/app/sessions?q=%3Cscript%3Ealert(1)%3C/script%3E",
    "list poll": "/app/live/sessions?seen=0",
    "session": "/app/sessions/s-1",
    "sessions filtered by client": "/app/sessions?client=%22%3E%3Cscript%3Ealert(1)&errors=1&from=2016-11-22T00:00",
    "session poll": "/app/sessions/s-1/live?seen=0&waiting=ID",
    "exchange": "/app/sessions/s-1/exchanges/ID",
    "opened": "/app/sessions/s-1/exchanges/ID/opened",
    "message": "/app/sessions/s-1/messages/ID",
    "usage": "/app/settings/usage",
    "keys": "/app/settings/keys",
    "problem": "/app/sessions/%3Cscript%3Ealert(1)",
    "no such session": "/app/sessions/~PHNjcmlwdD4",
}


@pytest.fixture
def hostile_id(customer: Customer, talk: Talk) -> str:
    """A stored request that attacks the page from every field it has."""
    talk.server = talk.client = {"name": HOSTILE, "version": HOSTILE, "title": HOSTILE}
    asked = talk.request(HOSTILE, {HOSTILE: HOSTILE}, tool=HOSTILE)
    talk.answer(asked, error={"code": HOSTILE, "message": HOSTILE})
    talk.notify(HOSTILE, HOSTILE)
    talk.gap(HOSTILE, 1, 1)
    talk.line(HOSTILE.encode())
    talk.store(customer)
    api_keys.issue(customer, "<script>alert(1)</script>", at=talk.started_at)
    return str(asked["id"])


@pytest.mark.parametrize("name", PAGES)
def test_hostile_words_stay_words(name: str, hostile_id: str, browser: Client) -> None:
    page = browser.get(PAGES[name].replace("ID", hostile_id)).content.decode()
    assert "<script>alert" not in page
    assert "<img" not in page


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_anything_the_policy_would_block(name: str, hostile_id: str, browser: Client) -> None:
    page = browser.get(PAGES[name].replace("ID", hostile_id)).content.decode()
    tags = re.findall(r"<[a-zA-Z][^<>]*>", page)
    assert not [tag for tag in tags if re.search(r"\s(style|on[a-z]+)\s*=", unquoted(tag))]
    assert not [tag for tag in tags if tag.startswith("<style")]
    assert not [tag for tag in tags if tag.startswith("<script") and "src=" not in tag]
    assert not re.search(r"""(src|href|action)="(https?:)?//""", page)


def unquoted(tag: str) -> str:
    """A tag without its attributes' values, which may say anything."""
    return re.sub(r'"[^"]*"', '""', tag)


def test_the_policy_is_strict(browser: Client) -> None:
    policy = browser.get("/app/settings/usage").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_chosen_theme_is_in_the_first_byte_of_a_page_and_an_unknown_one_is_not(browser: Client) -> None:
    assert 'data-theme="system"' in browser.get("/app/settings/usage").content.decode()
    browser.post("/app/theme", {"theme": "dark"})
    assert 'data-theme="dark"' in browser.get("/app/settings/usage").content.decode()
    browser.post("/app/theme", {"theme": '"><script>'})
    assert 'data-theme="system"' in browser.get("/app/settings/usage").content.decode()


def test_choosing_a_theme_leads_back_to_the_page_and_to_no_other_site(browser: Client) -> None:
    here = "/app/settings/usage"
    assert browser.post("/app/theme", {"theme": "dark", "next": here}).headers["Location"] == here
    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        assert browser.post("/app/theme", {"theme": "dark", "next": elsewhere}).headers["Location"] == "/app/"


def tokens() -> dict[str, tuple[str, str]]:
    """Each colour token as (light, dark)."""
    css = (STATIC / "kilometers.css").read_text()
    return {name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w+), (#\w+)\)", css)}


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, from 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


GROUNDS = ["canvas", "surface", "sunken", "raised", "hover"]
INKS = ["ink", "ink-2", "ink-3", "accent", "bad", "warn", "good", "back"]
INKS += [f"json-{kind}" for kind in ("key", "string", "number", "word")]
PAIRS = [(ink, ground) for ink in INKS for ground in GROUNDS]
PAIRS += [(state, f"{state}-soft") for state in ("bad", "warn", "good", "accent")] + [("on-accent", "accent")]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_ink_is_readable_on_every_ground_it_stands_on(theme: int) -> None:
    known = tokens()
    faint = {
        (ink, ground): round(ratio, 2)
        for ink, ground in PAIRS
        if (ratio := contrast(known[ink][theme], known[ground][theme])) < 4.5
    }
    assert not faint


def test_no_rule_sets_a_colour_of_its_own() -> None:
    css = (STATIC / "kilometers.css").read_text()
    components = css[css.index("@layer components {") :]
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^{}]*;)", components)


def test_the_page_asks_for_no_file_of_another_host() -> None:
    for path in STATIC.iterdir():
        foreign = re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\s\"')]+|@import", path.read_text())
        assert not foreign, path.name
