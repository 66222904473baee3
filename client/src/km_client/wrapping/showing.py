"""What `wrap` and `unwrap` print: a line for each server, or the lines of the file that would change."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from km_client import output
from km_client.wrapping import coverage, hiding
from km_client.wrapping.servers import Server
from km_client.wrapping.wrapper import Result

CONTEXT_LINES = 3
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def diff(result: Result) -> list[str]:
    """The change as `diff -u` has it, without newlines. Secrets are hidden: such a change is shown to others."""
    texts = (hiding.hide(text, result.file.client) for text in (result.before, result.after))
    old, new = (text.replace("\r\n", "\n").removesuffix("\n").split("\n") for text in texts)
    path = str(result.file.path)
    return list(difflib.unified_diff(old, new, path, path, n=CONTEXT_LINES, lineterm=""))


def show_diff(result: Result) -> None:
    """The change, coloured for a terminal that wants it."""
    lines = ["\t".join(map(output.printable, line.split("\t"))) for line in diff(result)]
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        for line in lines:
            output.say(line)
        return
    console = output.console()
    for line in lines:
        console.print(line, style=_COLOURS.get(line[:1], ""), soft_wrap=True)


def show_servers(result: Result, done: Mapping[str, str], *, is_changed: bool) -> None:
    """The file, and what became of each server of it: `done` has the words for each state."""
    output.say(f"{coverage.title(result)}  {output.printable(str(result.file.path))}")
    rows = []
    for server in result.servers:
        what = done[server.state] if is_changed or server.state in ("covered", "unfit") else "as it was"
        rows.append((f"  {output.printable(coverage.name(server))}", _because(what, server)))
    output.pairs(rows)
    if not rows:
        output.say("  no servers")


def _because(what: str, server: Server) -> str:
    note = coverage.note(server)
    return f"{what}: {note}" if note else what


def answer(result: Result, *, with_diff: bool) -> dict[str, Any]:
    """One file for a script: `servers` as they stood before."""
    said = coverage.answer(result) | {
        "changed": result.before != result.after,
        "backup": str(result.backup) if result.backup else None,
    }
    return said | ({"diff": "\n".join(diff(result))} if with_diff else {})


def problems(results: Sequence[Result]) -> Iterator[str]:
    """Each file that could not be used, with what to do, as errors are shown."""
    for result in results:
        if result.problem:
            yield f"error: {output.printable(result.problem.message)}\n  hint: {result.problem.hint}\n"
