"""What one line of the stream says: sans-I/O, and it never fails, whatever the line holds.

    understand(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"git_log"}}')
    → (Message(kind="request", key="i1", method="tools/call", …),)

A 2025-03-26 batch (a JSON array) gives one message per element, each with the exact bytes of its element. `encoding`
says how the bytes can travel: `json` as they stand; `text` for what is not JSON, or is JSON that strict parsers refuse
(a lone surrogate, NaN, hundreds of levels of nesting); `base64` for what is not UTF-8 or holds a NUL.
A stdio stream may carry nothing but JSON-RPC, so any other line is an error of the program that wrote it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypeVar

import msgspec
from km_protocol.envelope import EventType, MessageEncoding

T = TypeVar("T")

MAX_BATCH_ELEMENTS = 1_000  # a 16 MiB array of `1,1,1…` would otherwise become eight million events
MAX_BRACKETS = 400  # fewer cannot nest too deeply for any parser that has 1,000 levels, as msgspec and Python's have
ROOM_LEVELS = 300  # what a server's own call stack and the batch around a message take of those levels
MAX_KEY_LENGTH = 128  # a longer id is known by its digest: ids are kept while their request is in flight


class Meta(msgspec.Struct, frozen=True):
    """What 2026-07-28 says in `_meta` of every request and result."""

    protocol_version: Any = msgspec.field(name="io.modelcontextprotocol/protocolVersion", default=None)
    client_info: Any = msgspec.field(name="io.modelcontextprotocol/clientInfo", default=None)
    server_info: Any = msgspec.field(name="io.modelcontextprotocol/serverInfo", default=None)
    subscription_id: Any = msgspec.field(name="io.modelcontextprotocol/subscriptionId", default=None)
    related_task: Any = msgspec.field(name="io.modelcontextprotocol/related-task", default=None)
    progress_token: Any = msgspec.field(name="progressToken", default=None)

    @property
    def task_id(self) -> object:
        return self.related_task.get("taskId") if isinstance(self.related_task, dict) else None


class Body(msgspec.Struct, frozen=True):
    """The members of `params`, `result` or `error` that correlation looks at; all of them may be of any type."""

    name: Any = None
    code: Any = None
    is_error: Any = msgspec.field(name="isError", default=None)
    request_id: Any = msgspec.field(name="requestId", default=None)
    request_state: Any = msgspec.field(name="requestState", default=None)
    result_type: Any = msgspec.field(name="resultType", default=None)
    protocol_version: Any = msgspec.field(name="protocolVersion", default=None)
    client_info: Any = msgspec.field(name="clientInfo", default=None)
    server_info: Any = msgspec.field(name="serverInfo", default=None)
    progress_token: Any = msgspec.field(name="progressToken", default=None)
    cursor: Any = None
    status: Any = None
    task: Any = None
    task_id: Any = msgspec.field(name="taskId", default=None)
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    input_requests: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="inputRequests", default=msgspec.UNSET)
    input_responses: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="inputResponses", default=msgspec.UNSET)
    meta_raw: msgspec.Raw | msgspec.UnsetType = msgspec.field(name="_meta", default=msgspec.UNSET)

    @property
    def meta(self) -> Meta:
        return _lenient(_META, self.meta_raw, NO_META)


class Message(msgspec.Struct, frozen=True):
    """One JSON-RPC message, or one line that is none. `content` holds its bytes as they were sent."""

    content: bytes
    kind: EventType
    encoding: MessageEncoding = "json"
    key: str | None = None
    method: str | None = None
    body: Body = Body()
    is_error: bool = False

    @property
    def progress_token(self) -> object:
        """What progress of this request will be told under."""
        meta = self.body.meta_raw
        return self.body.meta.progress_token if b"progressToken" in bytes(meta or b"") else None

    @property
    def tool(self) -> str | None:
        """The tool that this request calls."""
        name = self.body.name
        return name if self.method == "tools/call" and isinstance(name, str) else None


class _Envelope(msgspec.Struct):
    id: Any = None
    method: Any = None
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


NO_META = Meta()
NO_BODY = Body()
NO_MEMBERS: dict[str, msgspec.Raw] = {}
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_BODY = msgspec.json.Decoder(Body)
_META = msgspec.json.Decoder(Meta)
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def understand(frame: bytes) -> tuple[Message, ...]:
    """Every message of one whole line (without its line feed); none for a blank line."""
    content = frame.strip(b" \t\r")
    if not content:
        return ()
    if not content.isascii() and not _is_utf8(content):
        return (Message(content=frame, kind="notification", encoding="base64", is_error=True),)
    if content.startswith(b"["):
        return _batch(content)
    message = _one(content)
    return (message if message.encoding == "json" else msgspec.structs.replace(message, content=frame),)


def part_of_line(part: bytes) -> Message:
    """The beginning of a line whose end was not recorded: kept, but nothing can be concluded from it."""
    encoding = _text_or_base64(part) if part.isascii() or _is_utf8(part) else "base64"
    return Message(content=part, kind="notification", encoding=encoding)


def is_strict_json(content: bytes) -> bool:
    """Whether `content` may stand inside a batch: exactly one JSON value, as msgspec takes it."""
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except _NOT_JSON:
        return False
    return True


def names_of(raw: msgspec.Raw | msgspec.UnsetType) -> list[str]:
    """The names of an object's members; none for anything else."""
    members: dict[str, msgspec.Raw] = _lenient(_MEMBERS, raw, NO_MEMBERS)
    return list(members)


def request_key(identifier: object) -> str | None:
    """What an id is known by while in flight. `1` and `"1"` are two ids, `1` and `1.0` are one."""
    if isinstance(identifier, bool) or not isinstance(identifier, int | float | str):
        return None
    if isinstance(identifier, str):
        key = f"s{identifier}"
    elif isinstance(identifier, float) and not identifier.is_integer():
        key = f"f{identifier!r}"
    else:
        key = f"i{int(identifier)}"
    if len(key) <= MAX_KEY_LENGTH and (key.isascii() or _is_utf8(_bytes(key))):
        return key
    return "h" + hashlib.blake2b(_bytes(key), digest_size=16).hexdigest()


def _batch(content: bytes) -> tuple[Message, ...]:
    try:
        elements = _ELEMENTS.decode(content)
    except _NOT_JSON:
        return (_one(content),)
    if not 0 < len(elements) <= MAX_BATCH_ELEMENTS:
        return (Message(content=content, kind="notification", is_error=True),)
    return tuple(_one(bytes(element)) for element in elements)


def _one(content: bytes) -> Message:
    try:
        return _classify(content, _ENVELOPE.decode(content), "text" if _is_deep(content) else "json")
    except RecursionError:
        return Message(content=content, kind="notification", encoding=_text_or_base64(content))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _beyond_strict(content)


def _classify(content: bytes, envelope: _Envelope, encoding: MessageEncoding) -> Message:
    key = request_key(envelope.id)
    if isinstance(envelope.method, str):
        body = _lenient(_BODY, envelope.params, NO_BODY)
        kind: EventType = "notification" if envelope.id is None else "request"
        return Message(content, kind, encoding, key, envelope.method, body)
    has_result = envelope.result is not msgspec.UNSET
    if envelope.error is not msgspec.UNSET and not (has_result and bytes(envelope.error) == b"null"):
        return Message(content, "error", encoding, key, None, _lenient(_BODY, envelope.error, NO_BODY), is_error=True)
    if has_result:  # `"error": null` beside it is how JSON-RPC 1.0 says that there is none
        body = _lenient(_BODY, envelope.result, NO_BODY)
        return Message(content, "response", encoding, key, None, body, is_error=body.is_error is True)
    return Message(content, "notification", encoding, is_error=True)


def _beyond_strict(content: bytes) -> Message:
    """JSON as Python's own parser takes it (NaN, lone surrogates, huge numbers), else no JSON at all."""
    encoding: MessageEncoding = "json" if is_strict_json(content) else _text_or_base64(content)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return Message(content=content, kind="notification", encoding=encoding, is_error=True)
    if not isinstance(value, dict):
        return Message(content=content, kind="notification", encoding=encoding, is_error=True)
    members = {name: _raw(value[name]) for name in ("params", "result", "error") if name in value}
    return _classify(content, _Envelope(value.get("id"), _cleaned(value.get("method")), **members), encoding)


def _raw(value: object) -> msgspec.Raw:
    """A value again as strict JSON, for the few members that correlation reads."""
    try:
        return msgspec.Raw(msgspec.json.encode(_cleaned(value)))
    except (RecursionError, ValueError, OverflowError):
        return msgspec.Raw(b"{}")


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return _bytes(value).decode(errors="replace")
    if isinstance(value, dict):
        return {str(_cleaned(name)): _cleaned(item) for name, item in value.items()}
    return None if isinstance(value, list) else value


def _is_deep(content: bytes) -> bool:
    """Whether a server might find `content` nested too deeply once it stands in a batch."""
    if content.count(b"[") + content.count(b"{") <= MAX_BRACKETS:
        return False
    return not is_strict_json(b"[" * ROOM_LEVELS + content + b"]" * ROOM_LEVELS)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text_or_base64(content: bytes) -> MessageEncoding:
    return "base64" if b"\0" in content else "text"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _lenient(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw | msgspec.UnsetType, otherwise: T) -> T:
    """`raw` decoded, or `otherwise` when it is absent or has another shape: an array of `params`, a `null` result."""
    if isinstance(raw, msgspec.UnsetType):
        return otherwise
    try:
        return decoder.decode(raw)
    except _NOT_JSON:
        return otherwise
