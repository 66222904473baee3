"""What a server says of places and of itself stands in no request before it is known to be one place, or one word."""

from __future__ import annotations

import json

import pytest
from km_client.proxy.http import json_rpc
from km_client.proxy.http.target import path_on

ORIGIN = "https://mcp.example"


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("/messages?session_id=1", "/messages?session_id=1"),
        ("messages", "/v1/messages"),
        ("https://mcp.example/x", "/x"),
        ("?a=1", "/v1/mcp?a=1"),
        ("//evil.example/x", None),
        ("https://me@mcp.example/x", None),
        ("http://[", None),
        ("/x HTTP/1.1", None),
        ("/\u00fc", None),
        ("/\x01", None),
    ],
)
def test_only_a_path_of_the_servers_own_origin_is_asked_for(reference: str, path: str | None) -> None:
    assert path_on(ORIGIN, "/v1/mcp", reference) == path


@pytest.mark.parametrize("version", ["2026-07-28\r\nX-Evil: 1", "\u00fc", "\ud800", "", 7, None])
def test_a_revision_that_no_header_can_carry_is_none(version: object) -> None:
    params = {"_meta": {json_rpc.VERSION_KEY: version}}
    message = json_rpc.parse(json.dumps({"id": 1, "method": "x", "params": params}).encode())
    assert message and message.version == ""
    assert json_rpc.revision("2026-07-28") == "2026-07-28"
