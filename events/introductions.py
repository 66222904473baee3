"""What an MCP session's first messages say about both sides: protocol version, server, client.

    {"result": {"protocolVersion": "2025-11-25", "serverInfo": {"name": "git", "version": "1.2.0"}, …}}   2024 to 2025
    {"params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28", …}}}                  from 2026-07-28
    → Introduction(protocol_version="2025-11-25", server=("git", "1.2.0", ""), client=("", "", ""))

Pure. `may_introduce` is the cheap test (a comparison, or a search of a short message) that spares parsing the rest.
Until 2025-11-25 the sides introduce themselves once, by `initialize`; since 2026-07-28 in the `_meta` of every request.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from events.store import NewEvent, PartyNames

_META_VERSION = "io.modelcontextprotocol/protocolVersion"
_VERSION = "protocolVersion"  # of `_META_VERSION`, whose slash many programs write as `\/`
_LONGEST_CHARACTERS = 64 * 1024  # an introduction is some hundred bytes; a message beyond this is a payload
_COLUMN_CHARACTERS = 200
_NOBODY: PartyNames = ("", "", "")


@dataclass(frozen=True, slots=True)
class Introduction:
    """What was said; blank where nothing was."""

    protocol_version: str = ""
    server: PartyNames = _NOBODY
    client: PartyNames = _NOBODY


class _Info(msgspec.Struct):
    """`Implementation` of the MCP schema."""

    name: str = ""
    version: str = ""
    title: str = ""


class _Meta(msgspec.Struct):
    version: str = msgspec.field(default="", name=_META_VERSION)
    client: _Info = msgspec.field(default_factory=_Info, name="io.modelcontextprotocol/clientInfo")


class _Params(msgspec.Struct):
    version: str = msgspec.field(default="", name="protocolVersion")
    client: _Info = msgspec.field(default_factory=_Info, name="clientInfo")
    meta: _Meta = msgspec.field(default_factory=_Meta, name="_meta")


class _ResultMeta(msgspec.Struct):
    server: _Info = msgspec.field(default_factory=_Info, name="io.modelcontextprotocol/serverInfo")


class _Result(msgspec.Struct):
    version: str = msgspec.field(default="", name="protocolVersion")
    server: _Info = msgspec.field(default_factory=_Info, name="serverInfo")
    meta: _ResultMeta = msgspec.field(default_factory=_ResultMeta, name="_meta")


class _Message(msgspec.Struct):
    params: _Params = msgspec.field(default_factory=_Params)
    result: _Result = msgspec.field(default_factory=_Result)


_DECODER = msgspec.json.Decoder(_Message)


def may_introduce(event: NewEvent) -> bool:
    """Whether it is worth reading `event` for an introduction."""
    if event.is_base64 or len(event.message) > _LONGEST_CHARACTERS:
        return False
    return event.method in {"initialize", "server/discover"} or _VERSION in event.message


def introduction(event: NewEvent) -> Introduction:
    """What `event`'s message says; nothing when it is not such a message."""
    try:
        message = _DECODER.decode(event.message)
    except (msgspec.DecodeError, RecursionError):
        return Introduction()
    params, result = message.params, message.result
    return Introduction(
        protocol_version=_short(result.version or params.meta.version or params.version),
        server=_names(result.server if result.server.name else result.meta.server),
        client=_names(params.client if params.client.name else params.meta.client),
    )


def _names(info: _Info) -> PartyNames:
    return _short(info.name), _short(info.version), _short(info.title)


def _short(text: str) -> str:
    return text.replace("\0", "�")[:_COLUMN_CHARACTERS]
