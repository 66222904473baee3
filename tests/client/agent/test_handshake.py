"""Both sides' names are learnt in every revision, and the name a person gave the server never changes."""

from __future__ import annotations

import json
from typing import Any

from km_client.agent.correlation import Relation
from km_client.agent.handshake import Handshake
from km_client.agent.redaction import RedactionRules, Redactor
from km_client.agent.understanding import understand
from km_client.capture.spool import Session
from km_protocol.envelope import Party
from mcp_types import CLIENT_INFO_META_KEY, PROTOCOL_VERSION_META_KEY, SERVER_INFO_META_KEY

REDACTOR = Redactor(RedactionRules())


def learn(handshake: Handshake, relation: Relation = Relation(), **message: Any) -> None:  # noqa: B008 - immutable
    (understood,) = understand(json.dumps(message).encode())
    handshake.learn(understood, relation, REDACTOR)


def test_initialize_tells_both_names_and_the_revision() -> None:
    handshake = Handshake(Party("git"))
    learn(
        handshake, id=0, method="initialize", params={"clientInfo": {"name": "editor", "version": "2", "title": "Ed"}}
    )
    result = {"protocolVersion": "2025-11-25", "serverInfo": {"name": "mcp-git", "version": "1.2"}}
    learn(handshake, Relation("e0", "initialize"), id=0, result=result)
    assert handshake.client == Party("editor", "2", "Ed")
    assert handshake.server == Party("git", "1.2", "mcp-git")
    assert handshake.protocol_version == "2025-11-25"


def test_how_a_server_is_reached_is_known_before_it_speaks_and_stays_so() -> None:
    about = {"server_name": "notes", "command": (), "cwd": "", "pid": 1, "started_at_ns": 0, "client_version": "1"}
    session = Session("s", **about, local_only=False, api_url=None, api_key=None)  # type: ignore[arg-type]
    assert Handshake.of(session, REDACTOR).server == Party("notes")
    handshake = Handshake.of(session._replace(transport="http"), REDACTOR)
    learn(handshake, Relation("e0", "initialize"), id=0, result={"serverInfo": {"name": "n", "version": "1"}})
    assert handshake.server == Party("notes", "1", "n", "http")


def test_without_initialize_every_request_and_result_may_tell() -> None:
    handshake = Handshake(Party("git"))
    asked = {CLIENT_INFO_META_KEY: {"name": "editor", "version": "3"}, PROTOCOL_VERSION_META_KEY: "2026-07-28"}
    learn(handshake, id=0, method="tools/list", params={"_meta": asked})
    told = {SERVER_INFO_META_KEY: {"name": "mcp-git", "version": "2.0", "title": "Git"}}
    learn(handshake, Relation("e0", "tools/list"), id=0, result={"tools": [], "_meta": told})
    assert handshake.client == Party("editor", "3")
    assert handshake.server == Party("git", "2.0", "Git")
    assert handshake.protocol_version == "2026-07-28"


def test_an_escaped_slash_hides_no_introduction() -> None:
    line = (
        b'{"id":1,"method":"tools\\/list","params":{"_meta":{"io.modelcontextprotocol\\/clientInfo":{"name":"php"}}}}'
    )
    (message,) = understand(line)
    handshake = Handshake(Party("git"))
    handshake.learn(message, Relation(), REDACTOR)
    assert (message.method, handshake.client) == ("tools/list", Party("php"))


def test_only_the_answer_to_initialize_introduces_the_server() -> None:
    handshake = Handshake(Party("git"))
    learn(handshake, Relation("e0", "tools/call"), id=0, result={"serverInfo": {"name": "somebody else"}})
    assert handshake.server == Party("git")


def test_strange_introductions_change_nothing() -> None:
    handshake = Handshake(Party("git"))
    strange: list[Any] = [None, "editor", [], {"name": 7}]
    for info in strange:
        learn(handshake, id=0, method="initialize", params={"clientInfo": info})
    assert handshake.client in (None, Party())


def test_names_are_cut_to_what_travels_and_hold_no_secrets() -> None:
    handshake = Handshake(Party("git"))
    name = "sk-9Qk2LmZx7Rt4Vb8Np3Wy6Hs1Dj5Fg0Ce2Ua7Bo " + "x" * 500
    learn(handshake, id=0, method="initialize", params={"clientInfo": {"name": name}})
    assert handshake.client is not None
    assert handshake.client.name.startswith("[redacted:api_key] ") and len(handshake.client.name) == 200
