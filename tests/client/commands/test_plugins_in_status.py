"""`status` and `doctor` say what a plugin or a lease lacks; where there is no plugin they say nothing of plugins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from km_client import plugin_checks
from km_client.check import Check
from km_client.overview import Told, look_at_plugins
from km_client.plugins import words
from km_client.plugins.report import AccountReport, PluginReport, Trouble
from km_client.plugins.sandbox.kernel import Kernel
from km_protocol.claims import LeaseState

from tests.client.commands.conftest import Km
from tests.client.commands.reported import NEW_KERNEL, NO_SANDBOX, OLD_KERNEL, account, living_agent, plugin, tell

NOW = datetime.now(UTC)
UNREACHABLE = "cannot reach https://x.example: connection refused"


@pytest.fixture
def agent(machine: Path) -> Iterator[None]:
    with living_agent():
        yield


def line(out: str, name: str) -> str:
    return next((each for each in out.splitlines() if each.startswith(f"{name} ")), "")


# status


def test_without_plugins_status_does_not_speak_of_them(km: Km) -> None:
    out = km("status", "--offline").out
    assert not line(out, "plugin") and not line(out, "lease")
    said = json.loads(km("status", "--offline", "--json").out)
    assert (said["plugins"], said["leases"]) == ([], [])


@pytest.mark.usefixtures("agent")
def test_each_plugin_is_one_line_with_the_first_thing_that_is_wrong(km: Km) -> None:
    tell(
        plugin("console-logger", handled=1204, failed=3),
        plugin("api-logger", "not_entitled", missing_features=["api_logging"]),
    )
    lines = [each for each in km("status", "--offline").out.splitlines() if each.startswith("plugin ")]
    assert lines == [
        "plugin    console-logger 1.0.0: running, 1,204 events handled",
        "plugin    api-logger 1.0.0: not entitled; needs `api_logging`, which tier Free does not have",
    ]
    said = json.loads(km("status", "--offline", "--json").out)
    assert [each["state"] for each in said["plugins"]] == ["running", "not_entitled"]


@pytest.mark.usefixtures("agent")
def test_a_lease_is_shown_with_its_age_and_offline_with_its_end(km: Km) -> None:
    tell(accounts=(account(),))
    assert (
        line(km("status", "--offline").out, "lease") == "lease     tier Pro (active); lease valid; refreshed 3 min ago"
    )
    until = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
    tell(accounts=(account(problem=UNREACHABLE, lease_state="grace", offline_until=until),))
    out = line(km("status", "--offline").out, "lease")
    assert f"offline: features hold until {until.astimezone():%Y-%m-%d %H:%M} ({UNREACHABLE})" in out
    assert json.loads(km("status", "--offline", "--json").out)["leases"][0]["lease_state"] == "grace"


@pytest.mark.usefixtures("agent")
def test_of_two_accounts_each_lease_names_its_key(km: Km) -> None:
    tell(accounts=(account(), account(key="km_test_0aaa", tier="Free")))
    out = km("status", "--offline").out
    assert "`km_live_0Qm3…`: tier Pro" in out and "`km_test_0aaa…`: tier Free" in out


def test_a_lease_until_the_end_of_time_is_shown(km: Km) -> None:
    tell(accounts=(account(problem=UNREACHABLE, offline_until=datetime(9999, 12, 31, 23, 59, tzinfo=UTC)),))
    assert "features hold until 9999-12-31" in km("status", "--offline").out


def test_a_lease_runs_out_also_when_no_agent_is_there_to_say_so(km: Km) -> None:
    tell(accounts=(account(offline_until=NOW - timedelta(seconds=1)),))
    assert "has expired" in line(km("status", "--offline").out, "lease")


# doctor: plugins


def checks(name: str) -> list[Check]:
    return [check for check in plugin_checks.plugins(look_at_plugins(), now=NOW) if check.name == name]


WRONG: list[tuple[PluginReport, str, str]] = [
    (plugin("a", "not_entitled", missing_features=["x_y"]), "needs `x_y`", "tier"),
    (plugin("a", "refused", trouble=Trouble("c", "it is odd", "mend it")), "it is odd", "mend it"),
    (plugin("a", "disabled", trouble=Trouble("c", "it fell"), crashes=5), "after 5 crashes", "plugins logs a"),
    (plugin("a", "backing_off", trouble=Trouble("c", "it fell")), "starts again", "plugins logs a"),
    (PluginReport("a", "a", "unavailable", trouble=Trouble("c", "gone", "put it back")), "gone", "put it back"),
    (plugin("a", dropped={"queue_full": 1}), "1 event did not reach it", "plugins logs a"),
]


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(("said", "what", "fix"), WRONG, ids=[f"{said.state} {what}" for said, what, _ in WRONG])
def test_every_trouble_of_a_plugin_is_a_problem_with_its_fix(km: Km, said: PluginReport, what: str, fix: str) -> None:
    tell(said, plugin("good"))
    [check] = checks("plugin")
    assert check.state == "problem" and check.words.startswith("a: ") and what in check.words and fix in check.fix
    assert [check.words for check in checks("plugins")] == ["good (running)"]
    done = km("doctor")
    assert done.code == 1 and check.words in done.out and f"fix: {check.fix}" in done.out


@pytest.mark.parametrize(
    "said", [said for said, _, _ in WRONG], ids=[f"{said.state} {what}" for said, what, _ in WRONG]
)
def test_what_was_wrong_with_an_agent_that_is_gone_is_a_note(machine: Path, said: PluginReport) -> None:
    tell(said)
    [check] = checks("plugin")
    assert check.state == "note" and check.fix


@pytest.mark.usefixtures("agent")
def test_plugins_that_work_are_one_line(machine: Path) -> None:
    tell(plugin("one"), plugin("two"))
    assert [check.state for check in plugin_checks.plugins(look_at_plugins(), now=NOW)] == ["ok"]


def test_without_plugins_doctor_speaks_of_the_sandbox_only(km: Km) -> None:
    names = {check["name"] for check in json.loads(km("doctor", "--json").out)["checks"]}
    assert "sandbox" in names and not names & {"plugin", "plugins", "lease"}


# doctor: leases


def lease(said: AccountReport, *, alive: bool = True) -> Check:
    [check] = plugin_checks.leases(Told(1 if alive else None, NOW, [], [said]))
    return check


@pytest.mark.parametrize(
    ("more", "state", "what"),
    [
        ({}, "ok", "tier Pro, valid"),
        ({"lease_state": "refresh_due"}, "ok", "refresh due"),
        ({"lease_state": "", "offline_until": None, "tier": ""}, "ok", "tier Free, no lease"),
        ({"lease_state": "grace", "problem": UNREACHABLE}, "problem", "offline: features hold until"),
        ({"problem": "the API key was revoked"}, "problem", "the API key was revoked; features hold until"),
        ({"lease_state": "", "offline_until": None, "problem": UNREACHABLE}, "problem", "only the Free tier's"),
        ({"lease_state": "expired", "problem": UNREACHABLE}, "problem", "expired"),
        ({"lease_state": "expired"}, "problem", "expired"),
        ({"lease_state": "clock_set_back"}, "problem", "clock was set back"),
        ({"lease_state": "not_yet_valid"}, "problem", "clock is behind"),
        ({"lease_state": "suspended"}, "problem", "suspended"),
        ({"lease_state": "revoked"}, "problem", "canceled"),
        ({"lease_state": "wrong_machine"}, "problem", "another machine"),
    ],
)
def test_what_is_wrong_with_a_lease_is_a_problem_with_its_fix(more: dict[str, Any], state: str, what: str) -> None:
    check = lease(account(**more))
    assert check.state == state and what in check.words and bool(check.fix) == (state == "problem")
    assert lease(account(**more), alive=False).state in {"ok", "note"}


def test_every_state_of_a_lease_is_either_good_or_explained() -> None:
    good = {LeaseState.VALID, LeaseState.REFRESH_DUE, LeaseState.GRACE}
    assert all((words.lease_note(account(lease_state=state)) is None) == (state in good) for state in LeaseState)


# doctor: the sandbox


@pytest.mark.parametrize(
    ("level", "kernel", "state", "what"),
    [
        ("strict", NEW_KERNEL, "ok", "keeps every promise"),
        ("best-effort", NEW_KERNEL, "ok", "keeps every promise"),
        ("off", NEW_KERNEL, "note", "all your rights"),
        ("strict", NO_SANDBOX, "note", "refuses every plugin"),
        (
            "strict",
            OLD_KERNEL,
            "note",
            "refuses plugins that ask for network, or system: this machine lacks Landlock ABI 6",
        ),
        ("best-effort", OLD_KERNEL, "note", "starts with fewer promises plugins that ask for network, or system"),
        ("strict", Kernel("x86_64", 1, NEW_KERNEL.seccomp_actions), "note", "network, or system, or nothing"),
    ],
)
def test_the_sandbox_names_which_plugins_would_be_refused(level: Any, kernel: Kernel, state: str, what: str) -> None:
    check = plugin_checks.sandbox(level, "default", kernel)
    assert check.state == state and what in check.words and f"`{level}` from default" in check.words
    assert bool(check.fix) == (state == "note")


@pytest.mark.parametrize(
    ("settings", "refused_by"),
    [
        ({}, ""),
        ({"kernel/apparmor_restrict_unprivileged_userns": "1\n"}, "kernel.apparmor_restrict_unprivileged_userns"),
        ({"kernel/apparmor_restrict_unprivileged_userns": "0\n", "user/max_user_namespaces": "63000\n"}, ""),
        ({"user/max_user_namespaces": "0\n"}, "user.max_user_namespaces"),
        ({"kernel/unprivileged_userns_clone": "0\n"}, "kernel.unprivileged_userns_clone"),
    ],
)
def test_a_system_that_refuses_a_private_root_is_noticed(
    tmp_path: Path, settings: dict[str, str], refused_by: str
) -> None:
    for name, value in settings.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(value)
    assert plugin_checks.namespaces_refused_by(tmp_path) == refused_by
    check = plugin_checks.sandbox("strict", "default", NEW_KERNEL, refused_by)
    assert (check.state == "note") == bool(refused_by) and refused_by in check.words


def test_how_soon_a_crashed_plugin_starts_is_said_in_seconds() -> None:
    assert words.soon(NOW + timedelta(seconds=4), NOW) == "in 4 s"
    assert words.soon(NOW - timedelta(seconds=4), NOW) == words.soon(None, NOW) == "at once"
