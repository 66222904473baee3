"""The pictures of the README and the documents: a made-up week, a real service, a real Chromium.

    $ scripts/screenshots                       # all of docs/images, about a minute
    docs/images/overview-light.png  61,204 bytes
    …
    $ scripts/screenshots --only session plugins --out /tmp/pictures

Starts `scripts.demo_site` in a directory of its own, signs in as its people and takes each page in both themes. The
service's clock and the browser's stand still at the same moment, so a picture changes when a page does. Chromium is
`/usr/bin/chromium`, or what `KM_CHROMIUM` names.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

from scripts.demo_service import READY, ROOT
from scripts.demo_steps import DemoError
from scripts.screenshot_pages import ACCOUNTS, SHOTS, Shot, Studio
from scripts.smaller_png import smaller

IMAGES = ROOT / "docs" / "images"
CHROMIUM = Path(os.environ.get("KM_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
STOP_SECONDS = 10.0


def main() -> int:
    options = _options()
    if not CHROMIUM.exists():
        print(
            f"error: no Chromium at {CHROMIUM}\n  hint: `apt-get install chromium`, or set KM_CHROMIUM", file=sys.stderr
        )
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = [shot for shot in SHOTS if not options.only or shot.name in options.only]
    try:
        with _service() as url:
            for path in _pictures(url, chosen, options.out):
                print(f"{path}  {path.stat().st_size:,} bytes", flush=True)
    except DemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except PlaywrightError as error:
        print(f"error: {error}\n  hint: a page may have changed: look at scripts/screenshot_pages.py", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description="Make the pictures in docs/images.")
    names = [shot.name for shot in SHOTS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--out", type=Path, default=IMAGES, help="the directory for the pictures")
    return parser.parse_args()


@contextmanager
def _service() -> Iterator[str]:
    """Its address; it is stopped, and its data gone, on the way out. Raises `DemoError`."""
    with tempfile.TemporaryDirectory(prefix="kilometers-pictures-") as directory:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KM_")}
        own = {"KM_DATA_DIR": directory, "KM_EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"}
        log = Path(directory) / "site.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "scripts.demo_site", "--port", "0"],
                cwd=ROOT,
                env=kept | own,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.communicate(timeout=STOP_SECONDS)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:  # until it says so, or ends
        if match := READY.search(line):
            return match[1]
    raise DemoError(f"the service ended before it was ready: {log.read_text()[-2_000:]}")


def _pictures(url: str, shots: list[Shot], out: Path) -> Iterator[Path]:
    """Take every picture; its path, as soon as it is there."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        blank = browser.new_page()
        for theme in ("light", "dark"):
            for account in ACCOUNTS:
                of_account = [shot for shot in shots if shot.account == account]
                if not of_account:
                    continue
                studio = Studio(browser, url, account, theme)
                for shot in of_account:
                    path = out / f"{shot.name}-{theme}.png"
                    path.write_bytes(smaller(blank, studio.take(shot)))
                    yield path
                studio.close()
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
