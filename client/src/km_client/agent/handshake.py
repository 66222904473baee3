"""Who is talking: the client's and the server's own names, from whichever message says them.

Up to 2025-11-25 that is `initialize` (`params.clientInfo`) and its result (`serverInfo`); from 2026-07-28 on there is
none, and the `_meta` of every request and result may say it instead.
"""

from __future__ import annotations

from typing import Any

import msgspec
from km_protocol.envelope import Party

from km_client.agent.correlation import Relation
from km_client.agent.events import MAX_TEXT
from km_client.agent.redaction import Redactor
from km_client.agent.understanding import Message
from km_client.capture.spool import Session


class Handshake(msgspec.Struct):
    """What is known so far. `server.name` is the name the person gave the server and never changes in a session."""

    server: Party
    client: Party | None = None
    protocol_version: str | None = None

    @classmethod
    def of(cls, session: Session, redactor: Redactor) -> Handshake:
        """Before anybody has spoken."""
        name = redactor.text(session.server_name)[:MAX_TEXT]
        return cls(Party(name, transport="" if session.transport == "stdio" else session.transport))

    def learn(self, message: Message, relation: Relation, redactor: Redactor) -> None:
        """Take what `message` says about either side."""
        body = message.body
        if message.kind == "request" and message.method == "initialize":
            self._client(body.client_info, redactor)
        elif message.kind == "response" and relation.method == "initialize":
            self._server(body.server_info, redactor)
            self._version(body.protocol_version)
        elif not isinstance(body.meta_raw, msgspec.UnsetType) and b"io.modelcontextprotocol" in bytes(body.meta_raw):
            self._learn_meta(message, redactor)

    def _learn_meta(self, message: Message, redactor: Redactor) -> None:
        said = message.body.meta
        if message.kind == "request":
            self._client(said.client_info, redactor)
            self._version(said.protocol_version)
        elif message.kind == "response":
            self._server(said.server_info, redactor)

    def _client(self, info: object, redactor: Redactor) -> None:
        if isinstance(info, dict):
            self.client = Party(*(_text(info, name, redactor) for name in ("name", "version", "title")))

    def _server(self, info: object, redactor: Redactor) -> None:
        if isinstance(info, dict):
            title = _text(info, "title", redactor) or _text(info, "name", redactor)
            self.server = msgspec.structs.replace(self.server, version=_text(info, "version", redactor), title=title)

    def _version(self, version: object) -> None:
        if isinstance(version, str):
            self.protocol_version = version[:MAX_TEXT]


def _text(info: dict[str, Any], name: str, redactor: Redactor) -> str:
    value = info.get(name)
    return redactor.text(value)[:MAX_TEXT] if isinstance(value, str) else ""
