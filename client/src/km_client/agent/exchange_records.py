"""A record of an HTTP run, read: the messages in it, and which exchange they belong to.

    read(b'm 0 17 91\\n{"jsonrpc"…}')  ->  Read(messages=(Message(…),), exchange=Exchange(17, 0), size=91, is_cut=False)

A body may hold line feeds, where a line of stdio cannot. Events are kept one a line, so such a message travels as text:
the same bytes, in a JSON string. One that fails to be read is told as what it is, bytes nobody understands.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from km_protocol.envelope import EventType

from km_client.agent import understanding
from km_client.agent.correlation import Exchange
from km_client.agent.understanding import Message
from km_client.capture import exchanges
from km_client.proxy.framing import Frame


class Read(NamedTuple):
    """`size` is what the message had on the wire, in bytes; `is_cut` says that its end was not recorded."""

    messages: tuple[Message, ...]
    exchange: Exchange
    size: int
    is_cut: bool


def read(payload: bytes) -> Read:
    """Never fails, whatever the record holds."""
    try:
        entry = exchanges.decode(payload)
    except ValueError:
        return Read((understanding.part_of_line(payload),), Exchange(), len(payload), False)
    is_cut = entry.size > len(entry.content)
    exchange = Exchange(entry.exchange, entry.scope, entry.kind != exchanges.MESSAGE)
    return Read(_messages(entry, is_cut), exchange, entry.size, is_cut)


def _messages(entry: exchanges.Entry, is_cut: bool) -> tuple[Message, ...]:
    if is_cut:
        return (understanding.part_of_line(entry.content),)
    if entry.kind == exchanges.MESSAGE:
        frame = Frame(entry.content.strip(b" \t\r\n"))
        return tuple(map(_in_one_line, understanding.understand(frame)))
    is_failure = entry.kind == exchanges.FAILURE
    kind: EventType = "error" if is_failure else "notification"
    facts = next((said.body for said in understanding.understand(Frame(entry.content))), understanding.NO_BODY)
    return (Message(entry.content, kind, method=exchanges.METHOD, body=facts, is_error=is_failure),)


def _in_one_line(message: Message) -> Message:
    if message.encoding != "json" or b"\n" not in message.content:
        return message
    return msgspec.structs.replace(message, encoding="text")
