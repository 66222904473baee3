"""The list of sessions for people: as many columns as the terminal has room for, and on a very narrow one no table.

019aa3c2-7f00  11-23 08:10  git  cursor 2  6  1  1.0 ms  1.0 ms  waiting
"""

from __future__ import annotations

from collections.abc import Sequence

from km_client import output
from km_client.output import printable
from km_client.watching.sessions import Recorded, short
from km_client.watching.summaries import Summary

ALL, FEWER = 104, 74  # columns that the whole table takes with usual names, and the one without what says least
LEFT_OUT, TOO_WITH_TOKENS = ("client", "p50"), ("p95",)


def show(found: Sequence[Summary], among: list[Recorded], columns: int) -> None:
    rows = [_texts(each, short(each.session.session_id, among)) for each in found]
    has_tokens = any(each.tally.tokens is not None for each in found)
    if columns >= FEWER:
        narrow = LEFT_OUT + TOO_WITH_TOKENS if has_tokens else LEFT_OUT
        left_out = {*(() if columns >= ALL else narrow), *(() if has_tokens else ("tokens",))}
        names = [name for name in rows[0] if name not in left_out]
        output.table(names, [[row[name] for name in names] for row in rows])
        return
    for row in rows:
        output.say(f"{row['session']}  {row['state']}")
        output.say(f"  {row['began']}  {row['server']}")
        output.say(f"  calls {row['calls']}, errors {row['errors']}")
        if row["p95"]:
            output.say(f"  p50 {row['p50']}, p95 {row['p95']}")
        if row["tokens"]:
            output.say(f"  tokens {row['tokens']}")


def milliseconds(value: float | None) -> str:
    """`8.1 ms`, `1.20 s`; blank for none."""
    if value is None:
        return ""
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def _texts(summary: Summary, name: str) -> dict[str, str]:
    tally = summary.tally
    return {
        "session": printable(name),
        "began": f"{summary.began.astimezone():%m-%d %H:%M}",
        "server": printable(summary.server),
        "client": printable(" ".join(filter(None, (tally.client, tally.client_version)))),
        "calls": f"{tally.calls:,}",
        "errors": f"{tally.errors:,}",
        "p50": milliseconds(tally.percentile(0.5)),
        "p95": milliseconds(tally.percentile(0.95)),
        "tokens": f"~{tally.tokens:,}" if tally.tokens else "",
        "state": summary.session.state,
    }
