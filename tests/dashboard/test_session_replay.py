"""A session as a file: in order, whole, byte for byte, and harmless whatever people called things."""

from __future__ import annotations

import base64
import json
import re
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from customers.models import Customer
from dashboard import download
from tests.dashboard.traffic import Talk

PAGE = "/app/sessions/s-1"


def text(browser: Client, form: str, page: str = PAGE) -> str:
    return b"".join(browser.get(f"{page}/replay.{form}")).decode()


def played(script: str) -> list[tuple[int, Any]]:
    """What a player does: (ms since the beginning, message), by the rules of the format."""
    moment, found = 0.0, []
    for line in script.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("DELAY: "):
            number, unit = re.fullmatch(r"DELAY: ([\d.]+)(ms|s)", line).groups()  # type: ignore[union-attr]
            moment += float(number) * (1000 if unit == "s" else 1)
        else:
            found.append((round(moment), json.loads(line)))
    return found


def test_the_recording_is_every_message_in_order_byte_for_byte(
    browser: Client, customer: Customer, talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PAGE_EVENTS", 2)
    odd = '{"jsonrpc":"2.0" ,  "method":"n/x","params":{"a":"\\ud800\\u0000 é","n":1.50e3}}\r'
    asked = talk.request("tools/list")
    asked |= {"message": odd, "message_encoding": "text"}
    talk.answer(asked, {"tools": ["x" * 40_000]})
    talk.line(b"\x89PNG\xff\n")
    talk.line("npm WARN é\u2028".encode())
    whole = talk.waiting[1]["message"]
    talk.store(customer)
    lines = [json.loads(line) for line in text(browser, "jsonl").split("\n") if line]
    assert [line["sequence"] for line in lines] == [1, 2, 3, 4]
    assert [line["direction"] for line in lines] == ["request", "response", "response", "response"]
    assert lines[0]["message"] == odd
    assert json.loads(lines[1]["message"]) == whole
    assert (lines[2]["message_encoding"], base64.b64decode(lines[2]["message"])) == ("base64", b"\x89PNG\xff\n")
    assert lines[3]["message"] == "npm WARN é\u2028"
    assert lines[0]["timestamp"] == asked["timestamp"]


def test_a_player_says_the_same_at_the_same_moments(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.answer(talk.request("initialize", {"protocolVersion": "2025-11-25"}), {"ok": True}, after_ms=31)
    talk.clock += timedelta(hours=10, microseconds=700)
    talk.answer(talk.request("sampling/createMessage", by="server"), {"role": "assistant"}, after_ms=2.4)
    events = list(talk.waiting)
    talk.store(customer)
    script = text(browser, "txt")
    found = played(script)
    assert [message for _, message in found] == [event["message"] for event in events]
    assert [moment for moment, _ in found] == [0, 32, 36_000_034, 36_000_037]
    assert "DELAY: 32ms" in script
    assert "DELAY: 36000.002s" in script
    assert [line for line in script.splitlines() if re.fullmatch(r"# \+\S+ \w+ to \w+", line)] == [
        "# +0.000 client to server",
        "# +0.032 server to client",
        "# +10:00:00 server to client",
        "# +10:00:00 client to server",
    ]


def test_what_cannot_be_played_is_said_and_not_played(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.line(b"npm WARN\rDELAY: 9h")
    talk.line(b"DELAY: 9h")
    talk.line(b'{"jsonrpc": "2.0", "id"')
    talk.line(b"\x89PNG\xff")
    talk.gap("disk_full", 12, 34_120)
    cut = talk.request("tools/list")
    cut |= {"message": '{"jsonrpc":"2.0","id":9', "message_encoding": "text", "size": 5_000_000, "truncated": True}
    spread = talk.notify("n/x")
    spread |= {"message": '{"jsonrpc":"2.0",\r\n "method":\n"n/x"}', "message_encoding": "text"}
    talk.store(customer)
    script = text(browser, "txt")
    assert [message for _, message in played(script)] == [{"jsonrpc": "2.0", "method": "n/x"}]
    said = [line for line in script.splitlines() if line.startswith("# not ")]
    assert said == [
        "# not played, not JSON-RPC: npm WARN DELAY: 9h",
        "# not played, not JSON-RPC: DELAY: 9h",
        '# not played, not JSON-RPC: {"jsonrpc": "2.0", "id"',
        "# not played: 5 bytes that are not UTF-8",
        "# not recorded: 12 pieces (34.1 kB) of the stream could not be recorded: disk full",
        "# not played: truncated, only the first 23 of 5000000 bytes were recorded",
    ]
    lines = [json.loads(line) for line in text(browser, "jsonl").split("\n") if line]
    assert [line["truncated"] for line in lines] == [False] * 5 + [True, False]


def test_no_name_becomes_a_message_or_a_header(browser: Client, customer: Customer, talk: Talk) -> None:
    talk.session_id = 'x"\r\n../{"id":1}'
    evil = 'git\n{"jsonrpc":"2.0","method":"evil"}\nDELAY: 9h\r\x85\u2028{}'
    talk.server = talk.client = {"name": evil, "version": evil, "title": evil}
    talk.notify("n/x")
    talk.store(customer)
    found = re.search(r'class="name" id="[^"]*" href="([^"]+)"', browser.get("/app/sessions").content.decode())
    assert found
    assert [message["method"] for _, message in played(text(browser, "txt", found.group(1)))] == ["n/x"]
    answer = browser.get(f"{found.group(1)}/replay.txt")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="session-x-id-1.txt"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("form", ["jsonl", "txt"])
def test_another_customers_session_and_no_session_are_not_there(
    form: str, customer: Customer, talk: Talk, stranger: Customer, sign_in: Callable[..., Client]
) -> None:
    talk.notify("n/x")
    talk.store(customer)
    elsewhere = sign_in(stranger)
    assert elsewhere.get(f"{PAGE}/replay.{form}").status_code == 404
    assert elsewhere.get(f"/app/sessions/nobodys/replay.{form}").status_code == 404


@pytest.mark.parametrize("form", ["jsonl", "txt"])
def test_a_long_session_is_sent_in_the_memory_of_a_page(
    form: str, browser: Client, customer: Customer, talk: Talk
) -> None:
    """Ten megabytes pass in pieces; what is held at once is some of them."""
    for _ in range(1000):
        talk.notify("n/x", {"text": "x" * 10_000})
    talk.store(customer)
    answer = browser.get(f"{PAGE}/replay.{form}")
    tracemalloc.start()
    try:
        sent = sum(len(piece) for piece in answer)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent > 10_000_000
    assert peak < 6_000_000
