"""What every page is asked in a browser: does it fit, does it keep still, how heavy is it, can everybody read it."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

AXE = Path(__file__).resolve().parent / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")
QUICK = {"resultTypes": ["violations"], "preload": False}  # nothing here has sounds or sheets of another host
PICTURES = os.environ.get("KM_TEST_PICTURES", "")  # a directory to look at the pages in
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (360, 1440)
STILL = 0.01  # of the window, in layout shift; 0.1 is what passes for good (web.dev/cls)
FOLLOWS = """() => document.documentElement.matches("[x-bind=themeBindings]")
  && document.documentElement.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches)"""
"""The console asks for the system's theme once, when a page is made; ours follow it by themselves."""
SETTLED = """() => Promise.all([document.fonts.ready, ...document.getAnimations()
  .filter(each => each.effect.getComputedTiming().endTime !== Infinity)
  .map(each => each.finished.catch(() => null))])"""
"""Colours on their way to another theme are nobody's contrast, and a letter that is still to come has no width."""
LAYOUT_SHIFT = """() => new Promise(done => {
  const sum = (shifts) => shifts.getEntries().reduce((total, shift) => total + shift.value, 0);
  new PerformanceObserver((shifts) => done(sum(shifts))).observe({type: "layout-shift", buffered: true});
  requestAnimationFrame(() => requestAnimationFrame(() => done(0)));
})"""


def fits(page: Page, width: int) -> bool:
    """Whether nothing reaches out of a window of `width` pixels."""
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)


def everywhere(page: Page, name: str, within: str = "html") -> list[str]:
    """What is wrong with the page as it stands, without loading it again, in both themes, narrow and wide.

    `within` is the part that axe-core looks at: `html`, or what of a page is ours.
    """
    before, wrong = page.viewport_size, []
    for theme in THEMES:
        wear(page, theme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(SETTLED)
            wrong += _as_it_is(page, name, theme, width, within)
    if before:
        page.set_viewport_size(before)
    return wrong


def as_loaded(page: Page, name: str) -> list[str]:
    """What is wrong with the page in the window it was loaded in: it moved meanwhile, or something in a theme."""
    moves = [] if shift(page) < STILL else [f"{name}, {page.viewport_size}: it moves"]
    return moves + in_this_window(page, name)


def in_this_window(page: Page, name: str) -> list[str]:
    """What is wrong with the page as it stands, in both themes."""
    assert page.viewport_size
    wrong = []
    for theme in THEMES:
        wear(page, theme)
        wrong += _as_it_is(page, name, theme, page.viewport_size["width"], "html")
    page.emulate_media(color_scheme=THEMES[0], reduced_motion="no-preference")  # the next page may move
    return wrong


def wear(page: Page, theme: Literal["light", "dark"]) -> None:
    """Have the page in this theme, as a system that changes its own would; its colours are there."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.evaluate(FOLLOWS)
    page.evaluate(SETTLED)


def _as_it_is(page: Page, name: str, theme: str, width: int, within: str) -> list[str]:
    if PICTURES:
        file = f"{re.sub(r'[^0-9a-z]+', '-', name).strip('-')}-{theme}-{width}.png"
        page.screenshot(path=Path(PICTURES) / file, full_page=True)
    only = {} if theme == THEMES[0] else {"runOnly": ["color-contrast"]}  # a theme changes colours alone
    wrong = [f"{name}, {theme}, {width}: {each}" for each in barriers(page, within, **only)]
    return wrong if fits(page, width) else [*wrong, f"{name}, {theme}, {width}: does not fit"]


def shift(page: Page) -> float:
    """The cumulative layout shift so far."""
    return float(page.evaluate(LAYOUT_SHIFT))


@cache
def _axe() -> str:
    assert AXE.is_file(), "axe-core is not installed: run `scripts/test/run`, which fetches it by npm"
    return AXE.read_text()


def barriers(page: Page, within: str = "html", **only: Any) -> list[str]:
    """What axe-core calls serious or critical, with the first place of each: `color-contrast: .muted (4.1)`.

    `only` are further options of `axe.run`.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe() + ";undefined")
    found: dict[str, Any] = page.evaluate(
        "([within, options]) => axe.run(within, options)", [within, {**QUICK, **only}]
    )
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]} {each['nodes'][0]['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in GRAVE
    ]


def transferred(page: Page, path: str) -> dict[str, int]:
    """Bytes over the wire, with headers, by address, of a first visit to `path`."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    addresses: dict[str, str] = {}
    sizes: dict[str, int] = {}
    session.on("Network.requestWillBeSent", lambda sent: addresses.update({sent["requestId"]: sent["request"]["url"]}))
    session.on("Network.loadingFinished", lambda end: sizes.update({end["requestId"]: int(end["encodedDataLength"])}))
    page.goto(path, wait_until="networkidle")
    session.detach()
    return {addresses[key]: size for key, size in sizes.items() if key in addresses}  # others began on the page before
