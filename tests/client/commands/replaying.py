"""Replaying for tests: the command as a program of its own, and a session with an echo server to play."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import answer, call
from tests.client.monitored import KM_CLIENT

SERVERS = Path(__file__).resolve().parents[2] / "mcp_servers"
ECHO = [sys.executable, str(SERVERS / "echo_server.py")]


def run(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([KM_CLIENT, "replay", *words], input=stdin, capture_output=True, check=False, timeout=60)


def talk(record: Record, *, texts: tuple[str, ...] = ("a", "b"), **options: Any) -> None:
    session = record(**options)
    session.request(b'{"jsonrpc":"2.0","id":0,"method":"ping"}\n')
    session.response(b'{"jsonrpc":"2.0","id":0,"result":{}}\n')
    for number, text in enumerate(texts, 1):
        session.request(call(number, tool="echo", text=text))
        session.response(answer(number, text))
    session.end()
