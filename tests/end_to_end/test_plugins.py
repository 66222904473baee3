"""Plugins over real sessions: three while the customer's tier changes twice, the guide's own, and those that fail."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.service import Account, Service
from tests.end_to_end.waiting import eventually
from tests.sdk.go_toolchain import HAS_GO, ROOT, run_go

GUIDE = ROOT / "tests" / "plugins" / "guide_plugin"
REFRESH_SECONDS = 1  # how long a change of tier takes to arrive here; 300 where nobody is waiting for it
WITHIN = 60.0
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
pytestmark = pytest.mark.skipif(not HAS_GO, reason="Go is not installed")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first-party plugins, as a person has them: copied, and the one in Go built."""
    place = tmp_path_factory.mktemp("plugins")
    for name in ("console-logger", "api-logger"):
        shutil.copytree(ROOT / "plugins" / name, place / name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    built = place / "tool-stats"
    built.mkdir()
    run_go("build", "-o", str(built / "tool-stats"), ".", cwd=ROOT / "plugins" / "tool-stats")
    shutil.copy(ROOT / "plugins" / "tool-stats" / "manifest.json", built)
    return {path.name: path for path in place.iterdir()}


@pytest.fixture(scope="module")
def guides_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's plugin, built by the guide's command beside its manifest."""
    place = tmp_path_factory.mktemp("guide")
    run_go("build", "-o", str(place / "my-plugin"), "main.go", cwd=GUIDE)
    shutil.copy(GUIDE / "manifest.json", place)
    return place / "my-plugin"


@pytest.fixture(scope="module")
def prompt_service(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[Service]:
    """A service whose leases are refreshed every second."""
    settings = {"KM_LEASE_REFRESH_SECONDS": str(REFRESH_SECONDS)}
    running = Service(tmp_path_factory.mktemp("prompt"), settings=settings).start()
    yield running
    running.stop()


class Watcher:
    """What `km-client plugins list` says on one laptop; waits without holding up the session under test."""

    def __init__(self, laptop: Laptop, service: Service, account: Account) -> None:
        self.laptop, self.service, self.account = laptop, service, account

    def rows(self) -> dict[str, dict[str, Any]]:
        listed = json.loads(self.laptop.km("plugins", "list", "--json").stdout)
        return {row["name"]: row for row in listed["plugins"]}

    def until_true(self, name: str, claim: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The row of one plugin, once `claim` holds of it."""

        def holds() -> dict[str, Any]:
            row = self.rows().get(name)
            return row if row and claim(row) else {}

        return eventually(holds, within=WITHIN, what=f"{name}: {what}")

    def wait(self, **states: str) -> dict[str, dict[str, Any]]:
        """Until the plugins named are in these states."""

        def reached() -> dict[str, dict[str, Any]]:
            rows = self.rows()
            found = {name: rows.get(name.replace("_", "-"), {}).get("state") for name in states}
            return rows if found == states else {}

        return eventually(reached, within=WITHIN, what=f"plugins are {states}")

    async def until(self, **states: str) -> dict[str, dict[str, Any]]:
        return await anyio.to_thread.run_sync(lambda: self.wait(**states))

    async def until_handled(self, name: str, count: int) -> None:
        def enough(row: dict[str, Any]) -> bool:
            return bool(row["handled"] >= count)

        await anyio.to_thread.run_sync(lambda: self.until_true(name, enough, f"has handled {count}"))

    async def change_tier(self, tier: str) -> None:
        change = ("change_subscription", "--customer", self.account.public_id, "--tier", tier)
        await anyio.to_thread.run_sync(lambda: self.service.manage(*change))


def test_a_change_of_tier_reaches_running_plugins_and_the_stream_knows_nothing_of_it(
    laptop: Laptop,
    prompt_service: Service,
    plugins: dict[str, Path],
    session_id: str,
    pypi_server: dict[str, list[str]],
) -> None:
    account = prompt_service.create_customer(tier="free")
    laptop.init(account, prompt_service.url)
    watcher = Watcher(laptop, prompt_service, account)
    options = tuple(word for path in plugins.values() for word in ("--plugin", str(path)))
    command = laptop.monitor_command(*pypi_server["time"], session_id=session_id, options=options)
    server = StdioServerParameters(command=command[0], args=command[1:], env=laptop.environment)
    failed = anyio.run(converse, server, watcher)

    assert failed == [False] * 7, "every call was answered"
    laptop.wait_until_shipped()
    rows = watcher.wait(console_logger="stopped", api_logger="stopped", tool_stats="not_entitled")
    stored = prompt_service.stored(session_id)
    assert rows["console-logger"]["handled"] == len(stored), "the Free plugin saw every message of the session"
    assert all(not row["dropped"] and not row["failed"] and not row["attempted"] for row in rows.values()), rows
    assert "get_current_time" in laptop.km("plugins", "logs", "tool-stats").stdout


async def converse(server: StdioServerParameters, watcher: Watcher) -> list[bool]:
    """One session from Free to Enterprise to Pro; whether each call failed."""
    failed = []

    async def call(client: Client) -> None:
        answer = await client.call_tool("get_current_time", {"timezone": "Europe/Paris"})
        failed.append(bool(answer.is_error))

    async with Client(server) as client:
        await call(client)
        await watcher.until(console_logger="running", api_logger="not_entitled", tool_stats="not_entitled")
        await watcher.change_tier("enterprise")
        await watcher.until(console_logger="running", api_logger="running", tool_stats="running")
        for _ in range(5):
            await call(client)
        await watcher.until_handled("tool-stats", 10)
        await watcher.change_tier("pro")
        rows = await watcher.until(console_logger="running", api_logger="running", tool_stats="not_entitled")
        assert rows["tool-stats"]["missing_features"] == ["advanced_analytics"]
        await call(client)
    return failed


def talk(laptop: Laptop, session_id: str, *options: str) -> None:
    """A session of one message, echoed, with these options of `monitor`."""
    command = laptop.monitor_command("cat", session_id=session_id, options=options)
    with RawClient(command, laptop.environment) as client:
        client.send(PING)
        assert client.finish() == 0
    assert bytes(client.received) == PING


def test_the_guides_plugin_sees_every_message_and_sends_it_on_with_a_token_of_its_own(
    laptop: Laptop, service: Service, session_id: str, guides_plugin: Path
) -> None:
    account = service.create_customer(tier="pro")
    laptop.init(account, service.url)
    talk(laptop, session_id, "--plugin", str(guides_plugin), "--debug")
    watcher = Watcher(laptop, service, account)
    row = watcher.until_true("my-plugin", lambda row: bool(row["state"] == "stopped"), "has ended")
    assert (row["handled"], row["failed"], row["tier"]) == (2, 0, "Pro")
    log = laptop.km("plugins", "logs", "my-plugin").stdout
    assert f"Plugin initialized for customer: {account.public_id}" in log
    assert "[request] request " in log
    assert "API logging failed" not in log, "the server took the plugin's own token"
    assert len(service.wait_until_stored(session_id, 2)) == 2, "what the plugin and the agent both sent is there once"


def test_an_invalid_key_leaves_a_plugin_only_what_is_free(
    laptop: Laptop, service: Service, session_id: str, guides_plugin: Path
) -> None:
    laptop.configure(f'api_url = "{service.url}"\n')
    talk(laptop, session_id, "--plugin", str(guides_plugin), "--api-key", "invalid_key")
    watcher = Watcher(laptop, service, Account("", "", "", "", ""))
    row = watcher.until_true("my-plugin", lambda row: bool(row["state"] == "stopped"), "has ended")
    assert (row["features"], row["tier"], row["handled"]) == (["console_logging"], "Free", 2)


def test_a_packed_plugin_runs_as_its_directory_does(
    laptop: Laptop, service: Service, session_id: str, plugins: dict[str, Path], tmp_path: Path
) -> None:
    copy = shutil.copytree(plugins["console-logger"], tmp_path / "console-logger")
    made = laptop.km("plugin", "build", str(copy), "--package")
    assert made.returncode == 0, made.stderr
    package = next((copy / "dist").glob("km-plugin-console-logger-*.kmpkg"))
    talk(laptop, session_id, "--local-only", "--plugin", str(package))
    watcher = Watcher(laptop, service, Account("", "", "", "", ""))
    row = watcher.until_true("console-logger", lambda row: bool(row["state"] == "stopped"), "has ended")
    assert (row["handled"], row["path"]) == (2, str(package))


@pytest.mark.parametrize("fault", ["missing", "manifest", "package"])
def test_a_plugin_that_cannot_run_is_told_where_a_person_looks_and_harms_nothing(
    signed_in: Laptop, service: Service, session_id: str, tmp_path: Path, fault: str
) -> None:
    codes = {"missing": "plugin_missing", "manifest": "manifest_invalid", "package": "package_"}
    path = tmp_path / ("broken.kmpkg" if fault == "package" else "broken")
    if fault == "manifest":
        path.mkdir()
        (path / "manifest.json").write_text('{"name": "../broken", "surprise": true}')
    elif fault == "package":
        path.write_bytes(b"PK\x03\x04 this is no package")
    talk(signed_in, session_id, "--plugin", str(path))
    assert len(service.wait_until_stored(session_id, 2)) == 2
    watcher = Watcher(signed_in, service, Account("", "", "", "", ""))
    row = watcher.until_true(path.name, lambda row: bool(row["trouble"]), "is in trouble")
    assert row["trouble"]["code"].startswith(codes[fault])
    assert row["trouble"]["hint"]
    assert str(path) in signed_in.km("doctor").stdout
