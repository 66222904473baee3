"""The first minute, as a terminal shows it: real commands, a real service, a real MCP server and client.

    $ scripts/walkthrough                  # docs/walkthrough.md and docs/images/walkthrough.svg, half a minute
    $ scripts/walkthrough --out /tmp/here

What is another one each time, as ids, times, ports and the directories of this machine, is replaced by what stays the
same, so the files change when the commands do.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat, zip_longest
from pathlib import Path

from benchmarks._first_day import SERVER, FirstDay
from scripts.terminal_svg import Line, svg
from tests.end_to_end.service import Service
from tests.end_to_end.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = 128
ADDRESS = "https://kilometers.example.com"
EVENTS = 6  # of one call: the SDK's client asks for the server, the call and the tools
INTRODUCTION = """\
# The first minute

From an MCP client that knows nothing of Kilometers to its first call on the dashboard. These are real runs, made by
`scripts/walkthrough`; only ids, times and directories are replaced. [The client](client.md) explains each command.

"""
COMMANDS: list[tuple[str, str]] = [
    ("wrap cursor --dry-run", "What would change in Cursor's configuration:"),
    ("wrap cursor", ""),
    ("status", "Cursor starts the server, and a model asks it for the time. Then:"),
    ("logs --tokens", ""),
    ("sessions", ""),
    ("unwrap cursor", "And back, byte for byte:"),
]


class Told:
    """What a machine said, with what it says only once replaced; the same thing by the same word each time."""

    def __init__(self, home: Path, url: str) -> None:
        self._paths = {str(home): "~", str(SERVER.parent): "/home/ada/.local/bin", url: ADDRESS}
        waits = chain(["412.0 ms", "4.1 ms", "6.7 ms", "6.7 ms", "0.41 s"], repeat("5.0 ms"))
        seconds = count()
        self._patterns: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
            (re.compile(r"\b[B-Z]{4}-[B-Z]{4}\b"), lambda _: "WDJB-MJHT"),
            (re.compile(r"\bcus_\w{20}\b"), lambda _: "cus_8dK2mQ7xR4tV9bN3pW6h"),
            (re.compile(r"\bkm_inst_\w{4}"), lambda _: "km_inst_4cOu"),
            (re.compile(r"\bprocess \d+"), lambda _: "process 4711"),
            (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}\b"), lambda _: "01a2079a-eed9"),
            (re.compile(r"\b\d\d:\d\d:\d\d\.\d{3}\b"), lambda _: f"10:00:00.{next(seconds) * 97 + 12:03}"),
            (re.compile(r"\b\d\d-\d\d \d\d:\d\d\b"), lambda _: "11-23 10:00"),
            (re.compile(r" *\b[\d.]+ m?s\b"), lambda found: next(waits).rjust(len(found[0]))),
        ]

    def __call__(self, text: str) -> str:
        for path, word in self._paths.items():
            text = text.replace(path, word)
        for pattern, replacement in self._patterns:
            text = pattern.sub(replacement, text)
        return text.strip("\n")


def walked(day: FirstDay, told: Told) -> Iterator[Line]:
    """The whole walk, a line at a time."""
    yield Line(f"$ km-client login --api-url {ADDRESS}", "command")
    shown, answer = day.log_in()
    yield from map(Line, told(shown).splitlines())
    yield Line("# The code is confirmed in a browser, and the command goes on by itself.", "note")
    yield from map(Line, told(answer).splitlines())
    for words, note in COMMANDS:
        yield Line("")
        if note:
            yield Line(f"# {note}", "note")
        if words == "status":
            _use(day)
        yield Line(f"$ km-client {words}", "command")
        done = day.run(*words.split())
        assert done.returncode == 0, done.stderr
        is_diff, lines = "--dry-run" in words, told(done.stdout).splitlines()
        for line in aligned(lines) if words == "sessions" else lines:
            yield Line(line.rstrip(), _kind(line) if is_diff else "plain")


def aligned(rows: list[str]) -> list[str]:
    """A table whose columns are as wide as what stands in them now."""
    cells = [re.split(" {2,}", row.rstrip()) for row in rows]
    widths = [max(map(len, column)) for column in zip_longest(*cells, fillvalue="")]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in cells]


def _use(day: FirstDay) -> None:
    """One call, and all of it shipped and told."""
    day.call()
    day.wait_until_shown()
    eventually(lambda: f"shipped   {EVENTS} events" in day.run("status", "--offline").stdout, what="all is shipped")


def _kind(line: str) -> str:
    return {"+": "added", "-": "removed", "@": "note"}.get(line[:1], "plain")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where to write (default: docs)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="km-walkthrough-") as scratch:
        base = Path(scratch)
        (base / "service").mkdir()
        service = Service(base / "service").start()
        try:
            with FirstDay(base / "laptop", service, service.create_customer()) as day:
                lines = list(walked(day, Told(day.home, service.url)))
        finally:
            service.stop()
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    text = "\n".join(line.text for line in lines)
    for path, content in (
        (args.out / "walkthrough.md", f"{INTRODUCTION}```\n{text}\n```\n"),
        (args.out / "images" / "walkthrough.svg", svg(lines, columns=COLUMNS)),
    ):
        path.write_text(content)
        print(f"{path}  {len(content):,} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
