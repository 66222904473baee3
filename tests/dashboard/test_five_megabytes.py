"""Messages of five megabytes, of every shape a server could think of: pages stay small and quick, the message whole."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import sys
import time
from collections.abc import Mapping

import pytest
from django.test import Client

from customers.models import Customer
from dashboard import whole_text
from tests.dashboard.traffic import Talk

SIZE = 5_000_000
SHAPES: Mapping[str, str] = {
    "one string": '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"%s"}]}}' % ("x" * SIZE),
    "many numbers": '{"jsonrpc":"2.0","id":1,"result":[%s1]}' % ("1," * (SIZE // 2)),
    "many objects": '{"jsonrpc":"2.0","id":1,"result":[%s{}]}' % ('{"key":"value"},' * (SIZE // 16)),
    "nested": "[" * (SIZE // 2) + "]" * (SIZE // 2),
    "nested and wide": "[" * 900 + "1," * (SIZE // 2) + "1" + "]" * 900,
    "hidden characters": '{"jsonrpc":"2.0","id":1,"result":"%s"}' % ("\u200b" * (SIZE // 3)),
    "quotes": '{"jsonrpc":"2.0","id":1,"result":"%s"}' % ('\\"' * (SIZE // 2)),
    "markup": '{"jsonrpc":"2.0","id":1,"result":"%s"}' % ("<b>&" * (SIZE // 4)),
    "an open quote": '{"jsonrpc":"2.0","id":1,"result":"' + "\\" * SIZE,
    "no JSON": "listening on port 8080\u2028" * (SIZE // 25),
}
SMALL = 1_200_000  # bytes of a beginning of 16 kB, each character of it a token of its own, laid out and as a tree
SECONDS = 3.0  # of this process, on a busy machine; what a page may take is measured by `scripts/bench queries`


@pytest.fixture(params=SHAPES)
def huge(request: pytest.FixtureRequest, customer: Customer, talk: Talk) -> tuple[str, str]:
    """The message of the given shape, and the id of the answer that is it."""
    message = SHAPES[request.param]
    asked = talk.request("tools/call", {"name": "big"}, tool="big")
    answer = talk.answer(asked, {}, after_ms=12)
    answer |= {"message": message, "message_encoding": "text", "size": len(message.encode())}
    talk.store(customer)
    return message, str(answer["id"])


def timed(browser: Client, path: str) -> tuple[bytes, float]:
    """What an address answers, and how many seconds of work it took."""
    begun = time.process_time()
    answer = browser.get(path)
    content = b"".join(answer) if answer.streaming else answer.content
    assert answer.status_code == 200, path
    return content, time.process_time() - begun


def test_pages_show_a_beginning_and_stay_small_and_quick(browser: Client, huge: tuple[str, str]) -> None:
    _, answer_id = huge
    for path in (
        *("/app/", "/app/events", "/app/sessions", "/app/sessions/s-1", "/app/tools", "/app/live/events"),
        "/app/tools/tool?server=mcp-server-git&name=big",
        f"/app/events/{answer_id}",
        f"/app/events/{answer_id}/opened",
        f"/app/sessions/s-1/exchanges/{answer_id}",
        f"/app/sessions/s-1/exchanges/{answer_id}/opened",
    ):
        page, seconds = timed(browser, path)
        assert len(page) < (SMALL if answer_id in path else 120_000), path
        assert seconds < SECONDS, path
        if "opened" in path:
            assert re.search(rb"The first [\d.]+ .B of [\d.]+ MB", page)
            assert b"Download" in page


def test_the_whole_stays_in_proportion(browser: Client, huge: tuple[str, str]) -> None:
    message, answer_id = huge
    for path in (f"/app/sessions/s-1/messages/{answer_id}", f"/app/sessions/s-1/messages/{answer_id}/whole"):
        page, seconds = timed(browser, path)
        assert len(page) < 8 * len(message.encode())
        assert seconds < SECONDS, path
        block = re.search(r"<pre[^>]*>(.*)</pre>", page.decode(), re.DOTALL)
        assert block is not None
        shown = html.unescape(re.sub(r"<[^>]+>", "", block[1]))
        if b"The first" not in page:  # all of it: nothing is lost but white space
            assert re.sub(r"\s", "", shown.replace("U+2028", "\u2028"))[:1000] == re.sub(r"\s", "", message)[:1000]
        else:
            assert b"Download" in page and b"Load the whole" not in page


def test_the_download_and_the_exports_have_every_byte(browser: Client, huge: tuple[str, str]) -> None:
    message, answer_id = huge
    assert timed(browser, f"/app/sessions/s-1/messages/{answer_id}/download")[0].decode() == message
    lines = timed(browser, "/app/events/export.jsonl")[0].splitlines()
    assert message in {json.loads(line)["message"] for line in lines}
    csv.field_size_limit(sys.maxsize)
    rows = csv.DictReader(io.StringIO(timed(browser, "/app/events/export.csv")[0].decode(), newline=""))
    assert message in {row["message"].removeprefix("'") for row in rows}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_indentation_may_make_of_a_text_is_known_before(shape: str) -> None:
    text = SHAPES[shape].replace("1," * (SIZE // 2), "1," * 500)
    made = whole_text.laid_out(text)
    assert len(made) <= max(whole_text.longest(text), len(text))
    assert len(made) <= whole_text.at_most(text)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"a":[1,{"b":"]}],[{"}],"c":{}}', "[[],[[]]]", '"[" [', "]]]["])
def test_the_bound_holds_for_small_texts_too(text: str) -> None:
    assert len(whole_text.laid_out(text)) <= whole_text.longest(text)
    assert len(whole_text.laid_out(text)) <= whole_text.at_most(text)
