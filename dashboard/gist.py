"""One line that says what a message is about, so that a row need not be opened.

    tools/call git_log {"repo_path": ".", "n": 3}  →  said 'repo_path="." n=3'
    initialize                                     →  said 'claude-code 2.1 · 2025-11-25'
    answer {"error": {"code": -32601, …}}          →  fault '-32601 Method not found'
    answer {"result": {"isError": true, …}}        →  fault 'No such file'

Read from the first characters of a message: what does not parse, being cut or not JSON at all, gets its own beginning
as the line. Nothing here is trusted: every part may be of any type, and the template escapes what comes out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

MAX_CHARACTERS = 240  # more than fits on a row, so that the browser decides where to cut
_WHITE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Gist:
    """`said`: what it asks or tells. `fault`: what went wrong, when something did."""

    said: str = ""
    fault: str = ""


def of_opening(text: str) -> Gist:
    """What a request or notification says."""
    message = _object(text)
    if message is None:
        return Gist(said=_short(_params_text(text)))
    params = message.get("params")
    if not isinstance(params, dict):
        return Gist()
    return Gist(said=_short(_said(str(message.get("method", "")), params)))


def of_answer(text: str) -> Gist:
    """What went wrong, if the answer says so; empty for a good one."""
    message = _object(text)
    if message is None:
        return Gist()
    error = message.get("error")
    if isinstance(error, dict):
        return Gist(fault=_short(f"{error.get('code', '')} {error.get('message', '')}".strip()))
    result = message.get("result")
    if isinstance(result, dict) and result.get("isError") is True:
        return Gist(fault=_short(_first_text(result.get("content"), otherwise="the tool reported an error")))
    return Gist()


def of_result(text: str) -> Gist:
    """What a good answer tells: the first text in it, else its result as JSON."""
    message = _object(text)
    if message is None:
        return Gist(said=_short(text.partition('"result":')[2] or text))
    result = message.get("result")
    if isinstance(result, dict) and isinstance(result.get("content"), list):
        return Gist(said=_short(_first_text(result["content"], otherwise=_compact(result))))
    return Gist(said=_short(_pairs(result)))


def of_gap(text: str) -> dict[str, Any]:
    """The `params` (or the message itself) of a `kilometers/recording_gap`: reason, records, bytes."""
    message = _object(text) or {}
    inner = message.get("params", message)
    return inner if isinstance(inner, dict) else {}


def _said(method: str, params: dict[str, Any]) -> str:
    if method == "tools/call":
        arguments = params.get("arguments")
        return _pairs(arguments)
    if method == "initialize":
        client = params.get("clientInfo")
        who = f"{client.get('name', '')} {client.get('version', '')}".strip() if isinstance(client, dict) else ""
        return " · ".join(part for part in (who, str(params.get("protocolVersion", ""))) if part)
    if method.startswith("resources/") and isinstance(params.get("uri"), str):
        return str(params["uri"])
    return _pairs({name: value for name, value in params.items() if name != "_meta"})


def _first_text(content: Any, *, otherwise: str) -> str:
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return next((text for text in texts if isinstance(text, str)), otherwise)


def _params_text(text: str) -> str:
    """The part of a cut message after `"params":`, or all of it."""
    return text.partition('"params":')[2] or text


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict) else None


def _pairs(value: Any) -> str:
    """`path="." count=3` of an object; JSON of anything else."""
    if not isinstance(value, dict):
        return _compact(value) if value else ""
    return " ".join(f"{name}={_compact(item)}" for name, item in value.items())


def _compact(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _short(text: str) -> str:
    return _WHITE.sub(" ", text[:MAX_CHARACTERS]).strip()
