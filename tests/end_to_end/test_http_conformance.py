"""The official conformance suite finds the same, check by check, directly and through the proxy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.http.raw_http import Proxy
from tests.conftest import NPM_BIN

ROOT = Path(__file__).resolve().parent.parent.parent
SERVER = [sys.executable, "-m", "tests.client.http.conformance_server"]
SUITE_SECONDS = 150
AT_LEAST = 18  # checks that succeed on this server: two empty results would also be the same


@pytest.fixture
def url() -> Iterator[str]:
    with subprocess.Popen(SERVER, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        process.kill()


def results(url: str, directory: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Scenario → (check, its outcome, what was found wrong) of every check."""
    command = [str(NPM_BIN / "conformance"), "server", "--url", url, "--output-dir", str(directory)]
    done = subprocess.run(
        command,
        cwd=directory.parent,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=SUITE_SECONDS,
        check=False,
    )
    assert "=== SUMMARY ===" in done.stdout, done.stdout + done.stderr
    found = {}
    for path in sorted(directory.glob("*/checks.json")):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT.*", "", path.parent.name)
        checks = json.loads(path.read_text())
        found[scenario] = [(check["id"], check["status"], check.get("errorMessage", "")) for check in checks]
    return found


def test_the_conformance_suite_finds_the_same_through_the_proxy(url: str, tmp_path: Path) -> None:
    if not (NPM_BIN / "conformance").exists():
        pytest.skip("the conformance suite is not installed: run `scripts/test/run`, which needs npm")
    directly = results(url, tmp_path / "direct")
    passed = [check for checks in directly.values() for check in checks if check[1] == "SUCCESS"]
    assert len(passed) >= AT_LEAST
    with Proxy(url, tmp_path / "data") as proxy:
        assert results(proxy.url, tmp_path / "proxied") == directly
    assert proxy.spools()
