"""The pictures of the README, taken from a running service by a real Chromium.

    $ scripts/demo                                # in one terminal: leaves the service up and prints the login
    $ scripts/screenshots --url http://127.0.0.1:8318 --email ann@acme.example --password …
    docs/images/overview-light.png
    …

Each page in both themes, wide and narrow. An event is opened beside the list of events; the session is the one with the
most messages on the first page, as a waterfall and with one call opened. The service is only read. Chromium is
`/usr/bin/chromium`, or what `KM_CHROMIUM` names.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
CHROMIUM = Path(os.environ.get("KM_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 360, "height": 740}  # a small phone


def main() -> int:
    options = _options()
    if not CHROMIUM.exists():
        print(
            f"error: no Chromium at {CHROMIUM}\n  hint: `apt-get install chromium`, or set KM_CHROMIUM", file=sys.stderr
        )
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for picture in _pictures(browser, options):
                print(picture)
            browser.close()
    except PlaywrightError as error:
        print(f"error: {error}\n  hint: is the service up, and the login right?", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description="Make the pictures in docs/images.")
    parser.add_argument("--url", default="http://127.0.0.1:8318", help="where the service answers")
    parser.add_argument("--email", required=True, help="who signs in")
    parser.add_argument("--password", default=os.environ.get("KM_PASSWORD"), help="default: $KM_PASSWORD")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the directory for the pictures")
    options = parser.parse_args()
    if not options.password:
        parser.error("give `--password`, or set KM_PASSWORD")
    return options


def _pictures(browser: Browser, options: argparse.Namespace) -> Iterator[Path]:
    """Take every picture; its path, as soon as it is there."""
    for theme in ("light", "dark"):
        for name, viewport in (("", WIDE), ("-narrow", NARROW)):
            page = _signed_in(browser, options, theme, viewport)
            yield _take(page, options.out / f"overview{name}-{theme}.png")
            page.goto("/app/events")
            if not name:
                _open_an_event(page)
            yield _take(page, options.out / f"events{name}-{theme}.png")
            page.goto("/app/sessions")
            yield _take(page, options.out / f"sessions{name}-{theme}.png")
            page.goto(_longest_session(page))
            yield _take(page, options.out / f"session{name}-{theme}.png")
            if not name:
                _open_a_call(page)
                yield _take(page, options.out / f"call-{theme}.png")
            page.goto("/app/tools")
            yield _take(page, options.out / f"tools{name}-{theme}.png")
            page.locator("tr[data-row] a.name.mono").first.click()
            page.get_by_role("heading", name="Definition").wait_for()
            yield _take(page, options.out / f"tool{name}-{theme}.png")
            page.goto("/app/plugins")
            yield _take(page, options.out / f"plugins{name}-{theme}.png")
            page.goto("/app/alerts")
            yield _take(page, options.out / f"alerts{name}-{theme}.png")
            page.context.close()


def _signed_in(browser: Browser, options: argparse.Namespace, theme: str, viewport: dict[str, int]) -> Page:
    scheme = "dark" if theme == "dark" else "light"
    context = browser.new_context(base_url=options.url, viewport=viewport, color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto("/app/login")
    page.get_by_label("E-mail").fill(options.email)
    page.get_by_label("Password").fill(options.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/app/")
    return page


def _longest_session(page: Page) -> str:
    """The address of the listed session with the most messages."""
    rows = page.locator("tr[data-row]")
    counts = [int(text.replace(",", "")) for text in rows.locator("td:nth-child(5) span:first-child").all_inner_texts()]
    link = rows.nth(counts.index(max(counts))).get_by_role("link")
    return str(link.get_attribute("href"))


def _open_a_call(page: Page) -> None:
    """Open the first tool call, or the first row where there is none."""
    calls = page.locator("#exchanges summary", has_text="tools/call")
    (calls if calls.count() else page.locator("#exchanges summary")).first.click()
    page.locator("#exchanges .sides").wait_for()
    text = page.locator(".switch").last.get_by_text("Text")
    if text.count():
        text.click()
    page.mouse.move(0, 0)


def _open_an_event(page: Page) -> None:
    """Open the newest tool call, or the newest event where there is none, beside the list."""
    calls = page.locator("[data-drawer]", has_text="tools/call")
    (calls if calls.count() else page.locator("[data-drawer]")).first.click()
    page.locator("#drawer[open] .sides").wait_for()
    page.mouse.move(0, 0)


def _take(page: Page, path: Path) -> Path:
    page.screenshot(path=path)
    return path


if __name__ == "__main__":
    sys.exit(main())
