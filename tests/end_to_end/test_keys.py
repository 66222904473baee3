"""Keys that do not work: said clearly where a person looks, harmless to the stream, and nothing is lost meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.service import Account

ECHO = [sys.executable, str(Path(__file__).resolve().parent.parent / "mcp_servers" / "echo_server.py")]
UNKNOWN_KEY = "km_live_" + "0" * 30  # its checksum is added below: well formed, but nobody's


def test_a_mistyped_key_is_refused_before_any_server_is_asked(laptop: Laptop, account: Account) -> None:
    typo = account.api_key[:-8] + ("A" if account.api_key[-8] != "A" else "B") + account.api_key[-7:]
    done = laptop.km("init", "--api-key", typo, "--api-url", "http://127.0.0.1:1")
    assert done.returncode != 0
    assert "typing mistake" in done.stderr
    assert typo not in done.stderr + done.stdout
    assert not (laptop.config_dir / "credentials.toml").exists()
