"""`plugins` says how each plugin stands, what it may do and what it tried; what a plugin wrote is escaped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from km_client import paths
from km_client.errors import ClientError
from km_client.plugins import inspection, permissions, report, subject, words
from km_client.plugins.log_tail import LogTail
from km_client.plugins.logs import MOST_BYTES, PluginLog
from km_client.plugins.report import PluginReport, Trouble

from tests.client.commands import reported
from tests.client.commands.conftest import Km
from tests.client.commands.reported import (
    NASTY,
    NO_SANDBOX,
    OLD_KERNEL,
    account,
    attempt,
    is_harmless,
    living_agent,
    plugin,
    tell,
)

ROOT = Path(__file__).resolve().parents[3]
CONSOLE_LOGGER = ROOT / "plugins" / "console-logger"
NOW = datetime.now(UTC)


@pytest.fixture
def agent(machine: Path) -> Iterator[int]:
    with living_agent() as pid:
        yield pid


@pytest.fixture
def new_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("km_client.commands.plugins.probe", lambda: reported.NEW_KERNEL)


def row(out: str, key: str) -> list[str]:
    """The columns of one plugin's line."""
    return next(line.split() for line in out.splitlines() if line.split()[:1] == [key])


# list


def test_a_machine_without_plugins_says_how_to_run_one(km: Km) -> None:
    done = km("plugins", "list")
    assert done.code == 0 and "km-client monitor --plugin ./my-plugin -- YOUR-MCP-SERVER" in done.out
    assert json.loads(km("plugins", "list", "--json").out)["plugins"] == []
    assert km("plugins").out == done.out


@pytest.mark.usefixtures("agent")
def test_a_plugin_that_works_is_one_line(km: Km) -> None:
    tell(plugin("console-logger", handled=1204))
    done = km("plugins", "list")
    assert row(done.out, "console-logger") == ["console-logger", "1.0.0", "running", "1,204", "0", "0", "strict"]
    assert len(done.out.splitlines()) == 2


EVERY_STATE = [
    (plugin("a", "new"), "starting", ""),
    (plugin("a", "starting"), "starting", ""),
    (plugin("a", "stopping"), "stopping", ""),
    (plugin("a", "stopped"), "stopped", ""),
    (plugin("a", "running", trouble=Trouble("exited", "it fell")), "running", "earlier: it fell"),
    (
        plugin("a", "backing_off", trouble=Trouble("exited", "it fell"), retry_at=NOW + timedelta(hours=100)),
        "crashed",
        "it fell; starts again in 3",  # 360,000 s, less what the suite took to come here
    ),
    (plugin("a", "disabled", trouble=Trouble("exited", "it fell"), crashes=5), "given up", "after 5 crashes"),
    (plugin("a", "refused", trouble=Trouble("bad", "it is odd", "mend it")), "refused", "fix: mend it"),
    (
        plugin("a", "running", withheld_features=["x_y"]),
        "running",
        "runs without `x_y`, which tier Free does not have",
    ),
    (
        plugin("a", "not_entitled", missing_features=["x_y"]),
        "not entitled",
        "needs `x_y`, which tier Free does not have",
    ),
    (PluginReport("a", "a", "unavailable", trouble=Trouble("gone", "nothing there")), "unavailable", "nothing there"),
    (plugin("a", "hibernating"), "hibernating", ""),
]


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize(("said", "state", "note"), EVERY_STATE, ids=[said.state for said, _, _ in EVERY_STATE])
def test_every_state_is_said_in_words_with_what_to_do(km: Km, said: PluginReport, state: str, note: str) -> None:
    tell(said)
    out = km("plugins", "list").out
    assert state in " ".join(row(out, "a"))
    assert note in out and ("a: " in out) == bool(note)


@pytest.mark.usefixtures("agent")
def test_a_package_that_nobody_signed_is_called_so(km: Km) -> None:
    tell(plugin(path="/nowhere/x.kmpkg", origin="package"))
    assert "/nowhere/x.kmpkg (an unsigned development package)" in km("plugins", "inspect", "tool-stats").out


@pytest.mark.usefixtures("agent")
def test_what_did_not_reach_a_plugin_is_said_by_reason(km: Km) -> None:
    tell(plugin(dropped={"queue_full": 30, "crash": 64, "gremlins": 1}, failed=2))
    out = km("plugins").out
    assert "95 events did not reach it: 30 while its queue was full, 64 lost in a crash, 1 gremlins" in out
    assert "2 events failed in the plugin" in out
    assert row(out, "tool-stats")[3:6] == ["0", "2", "95"]


@pytest.mark.usefixtures("agent")
def test_events_that_came_while_a_plugin_may_not_run_are_no_trouble_of_its_own(km: Km) -> None:
    tell(plugin(state="not_entitled", missing_features=["x"], dropped={"not_running": 12}))
    out = km("plugins").out
    assert row(out, "tool-stats")[-2] == "12" and "did not reach" not in out


@pytest.mark.usefixtures("agent")
def test_a_weaker_sandbox_and_refused_attempts_are_named(km: Km) -> None:
    tell(
        plugin("a", kernel=NO_SANDBOX, level="best-effort"),
        plugin("b", level="off"),
        plugin("c", attempted=[attempt()], attempted_unlisted=2),
    )
    out = km("plugins").out
    assert "a: its sandbox lacks" in out and "b: its sandbox is off" in out and "c: was refused 5 times" in out


def test_an_agent_that_is_gone_runs_no_plugin(km: Km) -> None:
    with living_agent():
        tell(plugin(handled=7, pid=4711, trouble=Trouble("exited", "it fell")))
    done = km("plugins", "list")
    assert "not running" in " ".join(row(done.out, "tool-stats")) and "7" in row(done.out, "tool-stats")
    assert "No agent runs" in done.out and "earlier: it fell" in done.out
    said = json.loads(km("plugins", "list", "--json").out)
    assert (said["agent_pid"], said["plugins"][0]["state"], said["plugins"][0]["pid"]) == (None, "ended", None)


def test_what_a_plugin_lacked_is_still_known_when_the_agent_is_gone(km: Km) -> None:
    tell(plugin(state="not_entitled", missing_features=["x"]))
    assert "earlier: needs `x`, which tier Free does not have" in km("plugins", "list").out


def test_a_report_of_an_agent_before_this_one_is_not_of_this_one(km: Km) -> None:
    tell(plugin(pid=4711))
    with living_agent():
        later = datetime.now(UTC).timestamp() + 5
        os.utime(paths.agent_lock(), (later, later))
        assert "not running" in km("plugins", "list").out


@pytest.mark.usefixtures("agent")
def test_the_list_for_scripts_has_everything_that_is_known(km: Km, agent: int) -> None:
    tell(plugin(dropped={"crash": 1}, attempted=[attempt()]), accounts=(account(),))
    said = json.loads(km("plugins", "list", "--json").out)
    [one] = said["plugins"]
    assert said["agent_pid"] == agent and said["accounts"][0]["tier"] == "Pro"
    assert (one["key"], one["state"], one["dropped"], one["level"]) == ("tool-stats", "running", {"crash": 1}, "strict")
    assert one["attempted"][0]["target"] == "203.0.113.7:443"
    assert {note["severity"] for note in one["notes"]} == {"problem", "note"}


@pytest.mark.parametrize("data", [b"", b"{", b"[1, 2]", b"\xff"])
def test_a_report_that_cannot_be_read_says_nothing(km: Km, data: bytes) -> None:
    tell(plugin())
    (paths.agent_dir() / report.FILE_NAME).write_bytes(data)
    assert "No plugin has run" in km("plugins", "list").out
    assert km("plugins", "inspect", "tool-stats").code == 1
    assert km("status", "--offline").code == 0 and "plugin" not in km("status", "--offline").out


@pytest.mark.usefixtures("agent")
def test_a_report_of_a_newer_version_is_shown_all_the_same(km: Km) -> None:
    document = msgspec.to_builtins(report.Report(datetime.now(UTC), [plugin(handled=5)]))
    document["plugins"][0]["colour"] = document["weather"] = {"new": True}
    (paths.agent_dir() / report.FILE_NAME).write_bytes(msgspec.json.encode(document))
    assert row(km("plugins").out, "tool-stats")[3] == "5"


# what comes from a plugin


@pytest.mark.usefixtures("agent", "new_kernel")
@pytest.mark.parametrize(
    "words_",
    [
        ("plugins", "list"),
        ("plugins", "list", "--json"),
        ("plugins", "inspect", "evil"),
        ("plugins", "inspect", "evil", "--json"),
        ("plugins", "permissions", "evil"),
        ("plugins", "permissions", "evil", "--json"),
        ("plugins", "inspect", "unknown"),
        ("plugins", "logs", "evil"),
        ("status", "--offline"),
        ("status", "--offline", "--json"),
        ("doctor",),
        ("doctor", "--json"),
    ],
    ids=" ".join,
)
def test_nothing_that_a_plugin_chose_reaches_the_terminal_raw(km: Km, words_: tuple[str, ...]) -> None:
    evil = plugin(
        "evil",
        "disabled",
        trouble=Trouble(NASTY, f"it said {NASTY}", f"do {NASTY}"),
        attempted=[attempt(f"/tmp/{NASTY}")],
        missing_features=[NASTY],
        dropped={NASTY: 3},
        version=f"1.0.0{NASTY}",
        tier=NASTY,
        path=f"/nowhere/{NASTY}",
        features=[NASTY],
    )
    tell(evil, plugin(f"other{NASTY}", NASTY), accounts=(account(problem=NASTY, tier=NASTY, status=NASTY, key=NASTY),))
    paths.make_private(Path(evil.log).parent)
    Path(evil.log).write_text(f"2026-11-22T15:40:00.000Z stdout: {NASTY}\tx\n", errors="backslashreplace")
    done = km(*words_)
    assert is_harmless(done.out) and is_harmless(done.err)
    if "--json" in words_:
        json.loads(done.out)


# inspect


@pytest.mark.usefixtures("agent", "new_kernel")
def test_inspect_shows_declared_enforced_and_attempted(km: Km) -> None:
    tell(plugin(attempted=[attempt(count=3)], attempted_unlisted=2, pid=4711))
    out = km("plugins", "inspect", "tool-stats").out
    assert "running (process 4711)" in out
    assert "declared  network: no, filesystem: no, system: no" in out
    assert "starts no process and no other program" in out and "seccomp" in out
    assert "NOT enforced" not in out
    assert "connect 203.0.113.7:443" in out and "and 2 more" in out
    assert out.index("declared") < out.index("enforced") < out.index("attempted")


@pytest.mark.usefixtures("agent", "new_kernel")
def test_inspect_names_what_is_not_enforced_and_why(km: Km) -> None:
    tell(plugin(kernel=OLD_KERNEL, level="best-effort", network=True))
    out = km("plugins", "inspect", "tool-stats").out
    assert "NOT enforced" in out and "Landlock ABI 6 (Linux 6.12)" in out and "nothing that was refused" in out
    said = json.loads(km("plugins", "inspect", "tool-stats", "--json").out)
    assert [each["code"] for each in said["not_enforced"]] == ["abstract-sockets"]
    assert said["declared"] == {"network": True, "filesystem": False, "system": False}


@pytest.mark.usefixtures("new_kernel")
def test_a_plugin_that_never_ran_is_inspected_by_its_path(km: Km) -> None:
    done = km("plugins", "inspect", str(CONSOLE_LOGGER))
    assert done.code == 0
    for said in ("console-logger 1.0.0", "not running", "One line for each MCP message", "would be enforced"):
        assert said in done.out
    assert "attempted" not in done.out and "NOT" not in done.out
    said = json.loads(km("plugins", "inspect", str(CONSOLE_LOGGER), "--json").out)
    assert (said["state"], said["origin"], said["sandbox"]) == ("on_disk", "directory", "strict")
    assert said["not_enforced"] == []
    assert said["manifest"]["features"] == {"required": [], "optional": ["console_logging"]}
    assert said["manifest"]["compatible"] is True and said["attempted"] == []


def test_a_machine_that_cannot_keep_the_promises_says_that_strict_would_not_start_it(
    km: Km, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("km_client.commands.plugins.probe", lambda: NO_SANDBOX)
    out = km("plugins", "inspect", str(CONSOLE_LOGGER)).out
    assert "would NOT be enforced" in out and "`strict` does not start it" in out
    monkeypatch.setenv("KM_SANDBOX", "off")
    said = json.loads(km("plugins", "inspect", str(CONSOLE_LOGGER), "--json").out)
    assert (said["sandbox"], said["enforced"]) == ("off", [])


@pytest.mark.usefixtures("agent", "new_kernel")
def test_a_path_that_runs_is_shown_as_it_runs(km: Km) -> None:
    tell(plugin("console-logger", path=str(CONSOLE_LOGGER), attempted=[attempt()]))
    out = km("plugins", "inspect", os.path.relpath(CONSOLE_LOGGER)).out
    assert "running" in out and "203.0.113.7" in out and "One line for each MCP message" in out


def broken(tmp_path: Path, what: str) -> Path:
    """A copy of a real plugin, with one thing wrong."""
    place = Path(shutil.copytree(CONSOLE_LOGGER, tmp_path / "copy"))
    match what:
        case "no manifest":
            (place / "manifest.json").unlink()
        case "bad manifest":
            (place / "manifest.json").write_text(f'{{"name": "x", "{"colour"}": 1}}')
        case "no program":
            (place / "main.py").unlink()
    return place


@pytest.mark.parametrize(
    ("what", "code"),
    [("no manifest", "manifest_missing"), ("bad manifest", "manifest_invalid"), ("no program", "program_missing")],
)
def test_a_plugin_that_cannot_be_started_is_refused_with_the_reason(
    km: Km, tmp_path: Path, what: str, code: str
) -> None:
    place = broken(tmp_path, what)
    done = km("plugins", "inspect", str(place))
    assert done.code == 1 and str(place) in done.err and "hint: " in done.err
    with pytest.raises(ClientError) as caught:
        subject.find(str(place), [], "strict", NO_SANDBOX)
    assert caught.value.code == code


def test_a_directory_around_the_key_is_refused(km: Km, machine: Path) -> None:
    shutil.copytree(CONSOLE_LOGGER, machine, dirs_exist_ok=True)
    assert "contains Kilometers' own" in km("plugins", "inspect", str(machine)).err


@pytest.mark.usefixtures("agent", "new_kernel")
def test_a_name_of_several_plugins_lists_their_keys(km: Km) -> None:
    tell(plugin("tool-stats@local"), plugin("tool-stats@1a2b3c"), plugin("other"))
    done = km("plugins", "inspect", "tool-stats")
    assert done.code == 1 and "`tool-stats@local`, `tool-stats@1a2b3c`" in done.err and "other" not in done.err
    assert km("plugins", "inspect", "tool-stats@1a2b3c").code == 0
    assert km("plugins", "inspect", "other").code == 0
    tell(plugin("tool-stats"), plugin("tool-stats@local"))
    assert "plugin    tool-stats 1.0.0" in km("plugins", "inspect", "tool-stats").out


def test_an_unknown_name_lists_the_known_ones(km: Km) -> None:
    assert "km-client monitor --plugin" in km("plugins", "inspect", "nothing").err
    tell(plugin("one"), plugin("two"))
    for action in ("inspect", "permissions", "logs"):
        done = km("plugins", action, "nothing")
        assert done.code == 1 and "known are `one`, `two`" in done.err


@pytest.mark.usefixtures("agent")
def test_a_plugin_that_was_never_started_is_inspected_by_what_would_hold(
    km: Km, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("km_client.commands.plugins.probe", lambda: NO_SANDBOX)
    said = PluginReport("x", "x", "not_entitled", version="1.0.0", path="/nowhere/x", missing_features=["y"])
    tell(said, PluginReport("gone", "gone", "unavailable", path="/nowhere", trouble=Trouble("c", "nothing is there")))
    out = km("plugins", "inspect", "x").out
    assert "would NOT be enforced" in out and "needs `y`" in out and "attempted" not in out
    out = km("plugins", "inspect", "gone").out
    assert "nothing is there" in out and "declared" not in out and "enforced" not in out
    assert "not known" in km("plugins", "permissions", "gone").out
    assert json.loads(km("plugins", "permissions", "gone", "--json").out)["permissions"] == {}


@pytest.mark.usefixtures("agent", "new_kernel")
def test_without_a_sandbox_nothing_is_said_about_attempts(km: Km) -> None:
    tell(plugin(level="off"))
    assert "attempted  not known: with the sandbox off" in km("plugins", "inspect", "tool-stats").out


# permissions


def test_permissions_are_said_in_plain_words(km: Km) -> None:
    out = km("plugins", "permissions", str(ROOT / "plugins" / "api-logger")).out
    assert "TCP and UDP" in out and "threads, no processes" in out
    assert "api_logging  required  not known" in out


@pytest.mark.parametrize(("features", "granted"), [(["api_logging"], True), (["console_logging"], False)])
def test_which_features_are_granted_is_by_the_lease(km: Km, features: list[str], granted: bool) -> None:
    tell(accounts=(account(features=features),))
    said = json.loads(km("plugins", "permissions", str(ROOT / "plugins" / "api-logger"), "--json").out)
    assert said["features"] == [{"name": "api_logging", "required": True, "granted": granted}]
    assert said["permissions"]["network"]["declared"] is True and said["permissions"]["system"]["declared"] is False
    assert said["tier"] == "Pro"


def test_the_free_tiers_feature_is_always_granted(km: Km) -> None:
    assert "yes, in every tier" in km("plugins", "permissions", str(CONSOLE_LOGGER)).out


@pytest.mark.usefixtures("agent")
def test_of_a_plugin_that_runs_what_it_was_given_counts(km: Km) -> None:
    path = str(ROOT / "plugins" / "api-logger")
    tell(plugin("api-logger", path=path, features=[], tier="Pro"), accounts=(account(),))
    assert "no: tier Pro does not have it, so it is not started" in km("plugins", "permissions", "api-logger").out


def test_a_go_plugin_need_not_be_built_to_be_asked_what_it_wants(km: Km, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    shutil.copy(ROOT / "plugins" / "tool-stats" / "manifest.json", tmp_path / "p")
    assert "advanced_analytics" in km("plugins", "permissions", str(tmp_path / "p")).out
    assert "does not exist" in km("plugins", "inspect", str(tmp_path / "p")).err


def test_every_permission_of_the_documentation_is_explained() -> None:
    page = (ROOT / "docs" / "security" / "sandbox.md").read_text()
    assert set(permissions.OPENS) == set(inspection.PERMISSIONS)
    assert all(f"| `{name}` |" in page for name in permissions.OPENS)


def test_the_free_features_are_those_of_the_sdk() -> None:
    from km_plugin_sdk.admission import FREE_FEATURES  # noqa: PLC0415

    assert permissions.FREE_FEATURES == FREE_FEATURES


# logs


@pytest.fixture
def log(machine: Path) -> PluginLog:
    """The log of `tool-stats`, as the host writes it."""
    tell(plugin())
    return PluginLog(reported.log_of("tool-stats"), lambda: 0.0)


def test_the_last_lines_of_a_log_are_shown(km: Km, log: PluginLog) -> None:
    for number in range(5):
        log.note(f"line {number}")
    lines = km("plugins", "logs", "tool-stats", "-n", "2").out.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["line 3", "line 4"]
    assert len(km("plugins", "logs", "tool-stats").out.splitlines()) == 5
    assert km("plugins", "logs", "tool-stats", "-n", "0").out == ""
    log.close()


def test_a_log_goes_on_from_the_file_before(km: Km, log: PluginLog) -> None:
    line = "x" * 1000
    for number in range(MOST_BYTES // 1000):
        log.note(f"{number} {line}")
    log.close()
    assert Path(f"{log.path}.1").exists()
    numbers = [int(each.split()[2]) for each in km("plugins", "logs", "tool-stats", "-n", "500").out.splitlines()]
    assert numbers == list(range(numbers[0], numbers[0] + 500))


def test_a_log_that_is_not_there_yet_says_so(km: Km) -> None:
    tell(plugin(), plugin("never", "not_entitled", log="", missing_features=["y"]))
    done = km("plugins", "logs", "tool-stats")
    assert (done.code, done.out) == (0, "") and "nothing is logged" in done.err
    done = km("plugins", "logs", "never")
    assert done.code == 1 and "never started: earlier: needs `y`" in done.err


class Racing(LogTail):
    """A tail whose log is written to and moved aside right after it was read to its end."""

    has_raced = False

    def _has_moved(self) -> bool:
        if not self.has_raced:
            self.has_raced = True
            with self._path.open("a") as file:
                file.write("the last\n")
            self._path.rename(f"{self._path}.1")
            self._path.write_text("the first\n")
        return super()._has_moved()


def test_what_is_written_right_before_a_rotation_is_not_missed(log: PluginLog) -> None:
    log.note("old")
    with Racing(log.path) as tail:
        assert len(tail.last(5)) == 1
        assert tail.more() == ["the last", "the first"]
        assert tail.more() == []
    log.close()


def follow(*flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "km_client.cli_entry", "plugins", "logs", "tool-stats", "-f", *flags]
    command[1:3] = ["-c", "import sys; from km_client.cli import main; sys.exit(main())"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_following_survives_rotation_and_ends_on_ctrl_c_with_130(log: PluginLog) -> None:
    log.note("first")
    process = follow("-n", "1")
    assert process.stdout
    try:
        assert process.stdout.readline().endswith("first\n")
        line = "x" * 4000
        last = MOST_BYTES // 4000 + 20
        for number in range(last + 1):
            log.note(f"{number} {line}")
        assert Path(f"{log.path}.1").exists()
        seen = [int(process.stdout.readline().split()[2]) for _ in range(last + 1)]
        assert seen == list(range(last + 1))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        log.close()


def test_following_begins_before_there_is_a_log_and_a_reader_may_leave(log: PluginLog) -> None:
    process = follow()
    assert process.stdout
    try:
        log.note("the first one")
        assert process.stdout.readline().endswith("the first one\n")
        process.stdout.close()
        log.note("nobody reads this")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        log.close()


# the command line


def test_a_reader_that_has_seen_enough_is_no_failure(machine: Path) -> None:
    program = f"{sys.executable} -c 'from km_client.cli import main; raise SystemExit(main())'"
    line = f"set -o pipefail; {program} plugins inspect {CONSOLE_LOGGER} | head -c 1"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "p", "")


@pytest.mark.parametrize(
    ("words_", "code"), [(("list",), 0), (("inspect", "nothing"), 1), (("inspect",), 2), (("x",), 2)]
)
def test_exit_codes_are_those_of_every_command(machine: Path, words_: tuple[str, ...], code: int) -> None:
    command = [sys.executable, "-c", "import sys; from km_client.cli import main; sys.exit(main())", "plugins", *words_]
    assert subprocess.run(command, capture_output=True, check=False).returncode == code


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "just now"), (-5, "just now"), (180, "3 min ago"), (90_000, "at 20")]
)
def test_how_long_ago_is_said_as_people_do(seconds: float, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW).startswith(said)
