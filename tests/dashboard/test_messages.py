"""A message opened: whole where that is sane, a beginning where it is not, and its own bytes for whoever wants them."""

from __future__ import annotations

import html
import json
import re

import pytest
from django.test import Client

from customers.models import Customer
from tests.dashboard.traffic import Talk


def part(name: str, event: dict[str, object]) -> str:
    return f"/app/sessions/s-1/{name}".replace("ID", str(event["id"]))


def opened(browser: Client, event: dict[str, object]) -> str:
    return browser.get(part("exchanges/ID/opened", event)).content.decode()


def code(page: str) -> list[str]:
    """What each block of code shows."""
    blocks = re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "", block)) for block in blocks]


def test_an_opened_row_holds_both_sides_laid_out_and_as_they_were_sent(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    asked = talk.request("tools/call", {"name": "git_log"}, tool="git_log")
    talk.answer(asked, {"content": []})
    talk.store(customer)
    page = opened(browser, asked)
    assert re.findall(r"<h3>(.*?)</h3>", page) == ["Request", "Response"]
    request_pretty, request_raw, response_pretty, response_raw = code(page)
    assert request_pretty.startswith('{\n  "jsonrpc": "2.0",\n  "id": 1,')
    assert request_raw == '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"git_log"}}'
    assert json.loads(response_pretty) == json.loads(response_raw)


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "text", "text": "one\n<b>two"}, {"type": "image"}, {"type": "text", "text": "three"}]},
        {"contents": [{"uri": "file:///a", "text": "one\n<b>two"}, {"uri": "file:///b", "text": "three"}]},
        {"messages": [{"content": {"text": "one\n<b>two"}}, {"content": [1]}, {"content": {"text": "three"}}]},
    ],
    ids=["tool", "resource", "prompt"],
)
def test_the_text_inside_a_result_is_shown_with_its_lines(
    result: dict[str, object], browser: Client, customer: Customer, talk: Talk
) -> None:
    asked = talk.request("tools/call", tool="x")
    talk.answer(asked, result)
    talk.store(customer)
    assert "one\n<b>two\n\nthree" in code(opened(browser, asked))


@pytest.mark.parametrize("result", [{}, {"content": "plain"}, {"content": [1]}, [], {"content": [{"text": 5}]}])
def test_a_result_of_any_other_shape_has_no_text(
    result: object, browser: Client, customer: Customer, talk: Talk
) -> None:
    asked = talk.request("tools/call", tool="x")
    talk.answer(asked, result)
    talk.store(customer)
    assert ">Text<" not in opened(browser, asked)


def test_the_exchange_has_a_page_of_its_own(browser: Client, customer: Customer, talk: Talk) -> None:
    asked = talk.request("tools/call", {"name": "git_log"}, tool="git_log")
    talk.answer(asked, error={"code": -32602, "message": "no such file"})
    talk.store(customer)
    page = browser.get(part("exchanges/ID", asked)).content.decode()
    assert "<title>tools/call · Kilometers</title>" in page
    assert "-32602 no such file" in page
    assert len(code(page)) == 4


def test_the_id_of_an_answer_leads_to_the_whole_exchange(browser: Client, customer: Customer, talk: Talk) -> None:
    answer = talk.answer(talk.request("tools/call", {"name": "git_log"}, tool="git_log"), {"content": []})
    talk.store(customer)
    page = browser.get(part("exchanges/ID", answer)).content.decode()
    assert re.findall(r"<h3>(.*?)</h3>", page) == ["Request", "Response"]


def test_a_huge_message_is_shown_by_its_beginning_and_loads_whole_on_demand(
    browser: Client, customer: Customer, talk: Talk
) -> None:
    asked = talk.request("resources/read", {"uri": "file:///big"})
    answer = talk.answer(asked, {"contents": [{"text": "x" * 5_000_000}]})
    answer["size"] = 5_000_062
    talk.store(customer)
    page = opened(browser, asked)
    assert len(page) < 100_000
    assert "The first 16.4 kB of 5.0 MB." in page
    whole = browser.get(part("messages/ID/whole", answer)).content.decode()
    assert json.loads(code(whole)[0])["result"]["contents"][0]["text"] == "x" * 5_000_000
    assert "The first" not in whole


def test_the_list_reads_only_the_beginning_of_huge_messages(browser: Client, customer: Customer, talk: Talk) -> None:
    for _ in range(3):
        talk.answer(talk.request("tools/call", tool="big"), {"text": "x" * 1_000_000})
    talk.store(customer)
    assert len(browser.get("/app/sessions/s-1").content) < 60_000


def test_a_download_is_the_bytes_and_never_a_page(browser: Client, customer: Customer, talk: Talk) -> None:
    asked = talk.request("tools/call", {"name": "<script>alert(1)</script>"})
    binary = talk.line(b"\x89PNG\r\n\x00\xff<script>")
    talk.store(customer)
    text = browser.get(part("messages/ID/download", asked))
    assert json.loads(text.content)["params"]["name"] == "<script>alert(1)</script>"
    assert text.headers["Content-Type"] == "application/octet-stream"
    assert text.headers["Content-Disposition"] == 'attachment; filename="message-1.json"'
    assert text.headers["X-Content-Type-Options"] == "nosniff"
    assert browser.get(part("messages/ID/download", binary)).content == b"\x89PNG\r\n\x00\xff<script>"


def test_bytes_that_are_no_text_are_shown_in_hex(browser: Client, customer: Customer, talk: Talk) -> None:
    line = talk.line(b"\x89PNG\xff" + bytes(5_000))
    talk.store(customer)
    page = opened(browser, line)
    assert "Not UTF-8 text" in page
    assert code(page)[0].startswith("00000000  89 50 4e 47 ff 00")
    assert "The first 2.0 kB of 5.0 kB." in page
    assert "Load the whole" not in page


def test_a_line_that_is_not_json_is_shown_as_it_was_sent(browser: Client, customer: Customer, talk: Talk) -> None:
    line = talk.line(b"Listening on  port\t8080")
    talk.store(customer)
    page = opened(browser, line)
    assert "Not JSON: shown as it was sent." in page
    assert code(page) == ["Listening on  port\t8080"]


def test_a_message_the_recorder_cut_says_so(browser: Client, customer: Customer, talk: Talk) -> None:
    line = talk.line(b'{"jsonrpc":"2.0","id":1,"result":{"blob":"AAAA')
    line.update(truncated=True, size=20_000_000)
    talk.store(customer)
    assert "it has 20.0 MB in all" in opened(browser, line)


def test_a_request_still_open_says_that_it_waits(browser: Client, customer: Customer, talk: Talk) -> None:
    asked = talk.request("tools/list")
    talk.store(customer)
    assert "waiting for the response" in opened(browser, asked)


def test_bytes_of_any_length_survive_the_preview(browser: Client, customer: Customer, talk: Talk) -> None:
    """A preview may cut base64 anywhere."""
    line = talk.line(b"\xff" * 50_001)
    talk.store(customer)
    assert code(opened(browser, line))[0].count("ff") == 2048
