"""What the agent says about plugins is read as it was meant, by older and newer commands, whatever plugins tried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from km_client.plugins import report
from km_client.plugins.report import AccountReport, Attempt, PluginReport, Report, Trouble, as_ended, plugin_report
from km_client.plugins.sandbox.guarantees import promised
from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.status import PluginStatus
from km_protocol.kmpkg.manifest import Permissions

NOW = datetime(2026, 11, 22, 15, 40, tzinfo=UTC)
KERNEL = Kernel("x86_64", 4, frozenset({"errno"}))


@pytest.fixture
def status() -> PluginStatus:
    """Of a plugin that crashed, on a kernel that cannot keep every promise for its network."""
    permissions = Permissions(network=True)
    return PluginStatus(
        key="tool-stats@local",
        name="tool-stats",
        version="1.0.0",
        path="/plugins/tool-stats",
        state="backing_off",
        pid=None,
        crashes=2,
        retry_in_seconds=4.0,
        trouble=Trouble("exited", "it exited with code 3", "see its log"),
        handled=12,
        failed=1,
        waiting=5,
        dropped={"queue_full": 3},
        permissions=permissions,
        level="best-effort",
        guarantees=promised(permissions, KERNEL, "best-effort"),
        attempts=[Attempt("connect", "203.0.113.7:443", "reaching another program", 3, 1, 2)],
        attempts_unlisted=7,
        log="/log/tool-stats@local.log",
    )


def test_a_status_becomes_a_report_with_its_times_and_its_sandbox(status: PluginStatus) -> None:
    said = plugin_report(status, now=NOW, runtime="go", features=frozenset({"b", "a"}), tier="Pro", sessions=("s1",))
    assert (said.key, said.name, said.state, said.retry_at) == (
        "tool-stats@local",
        "tool-stats",
        "backing_off",
        NOW + timedelta(seconds=4),
    )
    assert (said.handled, said.failed, said.waiting, said.dropped) == (12, 1, 5, {"queue_full": 3})
    assert (said.network, said.filesystem, said.system, said.level) == (True, False, False, "best-effort")
    assert all(row.enforced for row in said.enforced) and all(row.missing for row in said.not_enforced)
    assert "abstract-sockets" in [row.code for row in said.not_enforced]
    assert (said.attempted, said.attempted_unlisted) == (status.attempts, 7)
    assert (said.features, said.tier, said.sessions, said.runtime) == (["a", "b"], "Pro", ["s1"], "go")


def test_what_was_written_is_read(status: PluginStatus, tmp_path: Path) -> None:
    path = tmp_path / "agent" / "plugins.json"
    account = AccountReport("https://x.example", "km_live_0Qm3", tier="Pro", refreshed_at=NOW)
    whole = Report(NOW, [plugin_report(status, now=NOW)], [account])
    assert report.write(path, whole)
    assert report.read(path) == whole
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_path_that_is_no_text_does_not_cost_the_report(status: PluginStatus, tmp_path: Path) -> None:
    said = plugin_report(status, now=NOW)
    said.attempted = [Attempt("openat", "/tmp/\udcff", "opening a file", 1, 1, 1)]
    assert report.write(tmp_path / "plugins.json", Report(NOW, [said]))
    found = report.read(tmp_path / "plugins.json")
    assert found and found.plugins[0].attempted[0].target == "/tmp/\\udcff"


def test_fields_of_a_newer_version_are_passed_over(status: PluginStatus, tmp_path: Path) -> None:
    path = tmp_path / "plugins.json"
    document = msgspec.to_builtins(Report(NOW, [plugin_report(status, now=NOW)]))
    document["mood"] = {"a": 1}
    document["plugins"][0] |= {"state": "hibernating", "colour": "blue"}
    document["plugins"][0]["attempted"][0]["certainty"] = 0.5
    path.write_bytes(msgspec.json.encode(document))
    found = report.read(path)
    assert found and found.plugins[0].state == "hibernating" and found.plugins[0].handled == 12


def test_a_plugin_of_which_little_is_known_is_reported_with_that(tmp_path: Path) -> None:
    path = tmp_path / "plugins.json"
    path.write_text('{"updated_at": "2026-11-22T15:40:00Z", "plugins": [{"key": "x", "name": "x", "state": "new"}]}')
    found = report.read(path)
    assert found and (found.plugins[0].version, found.plugins[0].pid, found.accounts) == ("", None, [])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"updated_at": 1, "plugins": 2}', b"\xff\xfe", b"null"])
def test_a_file_that_is_not_a_report_says_nothing(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "plugins.json"
    assert report.read(path) is None
    path.write_bytes(data)
    assert report.read(path) is None


def test_a_directory_that_cannot_be_written_costs_the_report_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not report.write(tmp_path / "file" / "plugins.json", Report(NOW))


def test_without_its_agent_a_plugin_has_no_process_but_keeps_what_it_did(status: PluginStatus) -> None:
    said = as_ended(plugin_report(status, now=NOW, sessions=("s1",)))
    assert (said.state, said.pid, said.retry_at, said.waiting, said.sessions) == ("ended", None, None, 0, [])
    assert (said.handled, said.trouble) == (12, status.trouble)


def test_reports_are_independent_of_one_another() -> None:
    one, other = PluginReport("a", "a", "new"), PluginReport("b", "b", "new")
    one.dropped["crash"] = 1
    one.sessions.append("s")
    assert (other.dropped, other.sessions) == ({}, [])
