"""A client of the API, as small as one can be: requests through every middleware, answers decoded."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.test import Client

CONSOLE = "/admin/customers"
Call = Callable[..., tuple[int, Any]]


def caller(client: Client) -> Call:
    """`call("POST", path, body, key)` → status and decoded answer."""

    def send(method: str, path: str, body: Any = None, key: str = "", **headers: str) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if key:
            headers["Authorization"] = f"Bearer {key}"
        response = client.generic(method, path, content, content_type="application/json", headers=headers)
        return response.status_code, response.json()

    return send


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    """The status and code of an error, which has the one shape every error has."""
    status, body = answer
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "hint"}
    return status, body["error"]["code"]


def everything_on(console: Client, path: str) -> str:
    response = console.get(path)
    assert response.status_code == 200, (path, response.status_code)
    return response.content.decode()
