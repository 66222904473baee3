"""What every test stands on: a home of its own, no settings of the person who runs it, and the real MCP servers.

A test never sees the developer's `~/.config/kilometers`, keys or proxies. Servers from npm are installed by
`scripts/test/run`; where npm is missing, the tests that need them are skipped with that reason.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests import order, prepared
from tests.sdk.go_toolchain import CACHES

ROOT = Path(__file__).resolve().parent.parent
NPM_BIN = ROOT / "tests" / "mcp_servers" / "node_modules" / ".bin"


def pytest_configure() -> None:
    """Where `collectstatic` would put files: empty, but there, as `manage.py serve` sees to.

    A password costs a quarter of a second to hash, on purpose, and is no test's subject in this process; the services
    that tests start hash as Django does.
    """
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(trylast=True)  # after those that shuffle and group
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = order.longest_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new, empty home directory, and none of the `KM_…`, XDG or proxy settings of the person who runs the tests.

    No `monitor` starts an agent, which would stay for half a minute: a test that wants one says so, and ends it.
    """
    base = tmp_path_factory.getbasetemp()
    prepared.keep_in((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prepared")
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("KM_", "XDG_")) or name.lower().endswith("_proxy"):
                patch.delenv(name)
        for name, value in CACHES.items():  # the machine's: from empty ones Go compiles for minutes
            patch.setenv(name, value)
        patch.setenv("HOME", str(home))
        patch.setenv("KM_AGENT", "off")
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        yield home


@pytest.fixture(scope="session")
def npm_server() -> dict[str, list[str]]:
    """The command of each real server from npm: `everything`, `filesystem` (add a directory), `memory`."""
    if not NPM_BIN.is_dir() or shutil.which("node") is None:
        pytest.skip("servers from npm are not installed: run `scripts/test/run`, which needs npm")
    return {
        "everything": [str(NPM_BIN / "mcp-server-everything"), "stdio"],
        "filesystem": [str(NPM_BIN / "mcp-server-filesystem")],
        "memory": [str(NPM_BIN / "mcp-server-memory")],
    }


@pytest.fixture(scope="session")
def pypi_server() -> dict[str, list[str]]:
    """The command of each real server from PyPI: `git` (add `--repository R`), `time`, `fetch`."""
    directory = Path(sys.executable).parent
    return {name: [str(directory / f"mcp-server-{name}")] for name in ("git", "time", "fetch")}
