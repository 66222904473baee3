r"""Scripts to play, the format of `monitor --debug-replay FILE` and of a session's `replay.txt`. Standard library only.

    # +0.000 client to server                        a comment; one that ends with a way says where the next line goes
    {"jsonrpc":"2.0","id":1,"method":"initialize",…}
    # +0.012 server to client
    DELAY: 12ms                                      before the next message: 500ms, 1.5s, 1m30s
    {"jsonrpc":"2.0","id":1,"result":{…}}

Blank lines and lines that begin with `#` or `//` are passed over. Where no comment says which way a message goes, an
answer to what the client asked before is the server's, and everything else the client's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from km_client.errors import ClientError

CLIENT_TO_SERVER, SERVER_TO_CLIENT = "client to server", "server to client"
DELAY = "DELAY:"
BOM = b"\xef\xbb\xbf"
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_LONGEST_SHOWN = 60


class Step(NamedTuple):
    """One message. `delay` is in seconds, from the message before it."""

    number: int
    delay: float
    from_client: bool
    line: bytes
    message: Any


def parse(content: bytes, name: str) -> list[Step]:
    """The messages of a script. Raises `ClientError` that names the line that is none."""
    return list(_steps(content.removeprefix(BOM), name))


def duration(text: str) -> float:
    """Seconds of `500ms`, `1.5s`, `1m30s` or `0`. Raises `ValueError`."""
    text = text.strip()
    parts = _PART.findall(text)
    if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
        raise ValueError(text)
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def _steps(content: bytes, name: str) -> Iterator[Step]:
    delay, way = 0.0, ""
    asked: set[str] = set()
    for number, raw in enumerate(content.split(b"\n"), 1):
        line = raw.strip(b" \t\r")
        if not line:
            continue
        if line.startswith((b"#", b"//")):
            way = _way(line) or way
            continue
        if line.upper().startswith(DELAY.encode()):
            delay += _delay(line, name, number)
            continue
        message = _message(line, name, number)
        from_client = way == CLIENT_TO_SERVER if way else not _answers(message, asked)
        if from_client:
            asked |= _asks(message)
        yield Step(number, delay, from_client, line, message)
        delay, way = 0.0, ""


def _way(comment: bytes) -> str:
    words = comment.decode(errors="replace").strip()
    return next((way for way in (CLIENT_TO_SERVER, SERVER_TO_CLIENT) if words.endswith(way)), "")


def _delay(line: bytes, name: str, number: int) -> float:
    text = line[len(DELAY) :].decode(errors="replace").strip()
    try:
        return duration(text)
    except ValueError:
        raise ClientError(
            "bad_script",
            f"{name}, line {number}: `{_shown(line)}` is no delay",
            "write a number and its unit, such as `DELAY: 500ms`, `DELAY: 1.5s` or `DELAY: 1m30s`",
        ) from None


def _message(line: bytes, name: str, number: int) -> Any:
    try:
        message = json.loads(line.decode())
    except ValueError as error:
        where = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        why = error.msg if isinstance(error, json.JSONDecodeError) else "it is not UTF-8"
        raise _not_a_message(f"{name}, line {number}: this is no JSON{where}, {why}: `{_shown(line)}`") from None
    except RecursionError:
        raise _not_a_message(f"{name}, line {number}: nested too deeply: `{_shown(line)}`") from None
    if not isinstance(message, dict | list):
        raise _not_a_message(f"{name}, line {number}: this is JSON, but no JSON-RPC message: `{_shown(line)}`")
    return message


def _not_a_message(text: str) -> ClientError:
    return ClientError("bad_script", text, "a script is one JSON-RPC message a line, `DELAY: 500ms`, and `#` comments")


def _each(message: Any) -> Iterator[dict[str, Any]]:
    for one in message if isinstance(message, list) else [message]:
        if isinstance(one, dict):
            yield one


def _asks(message: Any) -> set[str]:
    return {json.dumps(one["id"]) for one in _each(message) if "method" in one and "id" in one}


def _answers(message: Any, asked: set[str]) -> bool:
    """Whether the server said this: an answer to what was asked before."""
    return any("method" not in one and json.dumps(one.get("id")) in asked for one in _each(message))


def _shown(line: bytes) -> str:
    """The beginning of a line, harmless to a terminal."""
    text = line.decode(errors="replace")
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
