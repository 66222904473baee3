"""A row of each table as cells, as wide as the terminal has room for. Words say what colour only underlines."""

from __future__ import annotations

from datetime import datetime
from itertools import chain

from rich.text import Text

from km_client.output import many, printable, size
from km_client.watching.tally import percentile
from km_client.watching.top.board import Board, Mistake, Shown, Watched, spark

AGEING_MS = 5_000  # an open call that old is worth a look
STYLES = {"ERROR": "bold red", "open": "bold yellow", "ok": "green", "no answer": "red", "cancelled": "yellow"}
REST = 0  # the column that takes what is left
WIDTHS = {
    "sessions": (
        *(("server", 13), ("client", 10), ("calls/s", 8), ("calls", 7), ("p50", 10), ("p95", 10)),
        *(("err", 5), ("open", 5), ("last", REST)),
    ),
    "calls": (("began", 9), ("server", 13), ("call", REST), ("status", 10), ("took", 10), ("size", 11)),
    "errors": (("at", 9), ("server", 13), ("call", 24), ("what", REST)),
}
"""Table → its columns with their widths, the space after each among them."""
NUMBERS = frozenset({"calls/s", "calls", "p50", "p95", "err", "open", "took", "size"})
FRAME = 4  # the border and the scroll bar
WIDER = 120  # columns, from which names get more room
NARROW = 80  # columns, below which there is no room for all
LEFT_OUT = frozenset({"client", "calls", "p50", "size"})
MIN_REST = 8


def widths(table: str, columns: int) -> dict[str, int]:
    """Heading → width, on a terminal of so many columns."""
    more = 10 if columns >= WIDER else 0
    fixed = {
        name: width + (more if name in ("server", "client") else 0)
        for name, width in WIDTHS[table]
        if columns >= NARROW or name not in LEFT_OUT
    }
    rest = max(MIN_REST, columns - FRAME - sum(fixed.values()))
    return {name: width or rest for name, width in fixed.items()}


def heading(name: str, width: int) -> Text:
    return _right(name, width) if name in NUMBERS else Text(name)


def summary(board: Board, now: datetime, problems: dict[str, str], *, is_paused: bool, width: int) -> Text:
    """The first line."""
    live = sum(session.is_live for session in board.sessions.values())
    rate = sum(session.rate(now) for session in board.sessions.values())
    durations = list(chain.from_iterable(session.durations for session in board.sessions.values()))
    errors = sum(session.errors for session in board.sessions.values())
    parts = [
        f"{live} live",
        f"{rate:.1f} calls/s",
        f"p50 {taken(percentile(durations, 0.5))}  p95 {taken(percentile(durations, 0.95))}",
        many(errors, "error"),
    ]
    text = Text.assemble(("PAUSED" if is_paused else "km-client top", "bold reverse" if is_paused else "bold"), "  ")
    text.append(" · ".join(parts))
    if problems:
        text.append(f" · {len(problems)} unreadable", "bold red")
    text.truncate(max(1, width - 2), overflow="ellipsis")
    return text


def latency(board: Board, width: int) -> Text:
    """The second line: the last answers, newest at the right."""
    if not board.latencies:
        return Text("latency  nothing was answered yet")
    label, top = "latency ", f" max {taken(max(board.latencies))}"
    return Text(f"{label}{spark(board.latencies, width - 2 - len(label) - len(top))}{top}")


def session(row: Watched, now: datetime, room: dict[str, int]) -> tuple[Text, ...]:
    texts = {
        "server": (row.server or row.session_id, "bold" if row.is_live else "dim"),
        "client": (row.client, ""),
        "calls/s": (f"{row.rate(now):.1f}" if row.is_live else "ended", ""),
        "calls": (f"{row.calls:,}", ""),
        "p50": (taken(row.percentile(0.5)), ""),
        "p95": (taken(row.percentile(0.95)), ""),
        "err": (f"{row.errors:,}", "bold red" if row.errors else ""),
        "open": (f"{row.open:,}" if row.open else "", "bold yellow"),
        "last": (row.last, ""),
    }
    return _cells(texts, room)


def call(shown: Shown, now: datetime, room: dict[str, int], *, is_open: bool) -> tuple[Text, ...]:
    milliseconds, answer = shown.milliseconds(now), shown.call.answer
    status = "no answer" if shown.status == "open" and not is_open else shown.status
    texts = {
        "began": (f"{shown.call.began.astimezone():%H:%M:%S}", ""),
        "server": (shown.server, ""),
        "call": (("" if shown.call.from_client else "<-- ") + shown.call.name, ""),
        "status": (status, STYLES.get(status, "")),
        "took": (
            "" if status == "no answer" else taken(milliseconds),
            "" if not is_open else "bold red" if milliseconds > AGEING_MS else "bold yellow",
        ),
        "size": (size(answer.size or 0) if answer else "", ""),
    }
    return _cells(texts, room)


def mistake(row: Mistake, room: dict[str, int]) -> tuple[Text, ...]:
    texts = {
        "at": (f"{row.at.astimezone():%H:%M:%S}", ""),
        "server": (row.server, ""),
        "call": (row.what, ""),
        "what": (row.words, "red"),
    }
    return _cells(texts, room)


def taken(milliseconds: float | None) -> str:
    """`8.1 ms`, `1.20 s`, `3 min`; a dash where there is none."""
    if milliseconds is None:
        return "-"
    if milliseconds < 1000:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds / 1000:.2f} s" if milliseconds < 60_000 else f"{milliseconds / 60_000:.0f} min"


def _cells(texts: dict[str, tuple[str, str]], room: dict[str, int]) -> tuple[Text, ...]:
    """One row, of the columns that there is room for."""
    return tuple(
        (_right if name in NUMBERS else _cell)(texts[name][0], width, texts[name][1]) for name, width in room.items()
    )


def _cell(text: str, width: int, style: str = "") -> Text:
    cell = Text(printable(text), style, no_wrap=True)
    cell.truncate(width - 1, overflow="ellipsis")
    return cell


def _right(text: str, width: int, style: str = "") -> Text:
    """A number, with the space that parts it from the next column."""
    return Text(text[: width - 1].rjust(width - 1), style, no_wrap=True)
