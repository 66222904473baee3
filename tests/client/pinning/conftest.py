"""A machine of its own for each test, whose changed tools are held where a test says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.client.agent.conftest import machine, record
from tests.client.commands.conftest import km

__all__ = ["km", "machine", "record"]


@pytest.fixture
def hold(machine: Path) -> Path:
    """`tools.on_change` is `hold` on this machine."""
    (machine / "config").mkdir()
    (machine / "config" / "config.toml").write_text('[tools]\non_change = "hold"\n')
    return machine


def tool(name: str, words: str = "", **fields: Any) -> dict[str, Any]:
    """A definition as a server has it."""
    return {"name": name, "description": words or f"Does {name}.", "inputSchema": {"type": "object"}, **fields}


def listing(*tools: Any, id: object = 1, **result: Any) -> bytes:  # noqa: A002 - as JSON-RPC has it
    """An answer to `tools/list`."""
    return json.dumps({"jsonrpc": "2.0", "id": id, "result": {"tools": list(tools), **result}}).encode()


def asking(id: object = 1, **params: Any) -> bytes:  # noqa: A002 - as JSON-RPC has it
    """A `tools/list`."""
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": params}).encode()


def calling(name: str, id: object = 9) -> bytes:  # noqa: A002 - as JSON-RPC has it
    """A `tools/call`."""
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name}}).encode()
