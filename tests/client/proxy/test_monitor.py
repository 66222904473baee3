"""What `monitor` writes down about a session, what it says to a person, and whom it starts."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest
from km_client import __version__
from km_client.commands.monitor import _name_of

from tests.client.conftest import StartMonitor
from tests.end_to_end.waiting import eventually

GOOD_KEY = "km_test_" + "0" * 36


def test_a_session_is_described_for_the_agent(monitor: StartMonitor, tmp_path: Path) -> None:
    before = time.time_ns()
    relay = monitor(["cat", "-u"], cwd=tmp_path)
    relay.finish()
    session = relay.session().session()
    assert (session.command, session.cwd, session.server_name) == (("cat", "-u"), str(tmp_path), "cat")
    assert (session.pid, session.client_version, session.local_only) == (relay.pid, __version__, False)
    assert (session.api_key, session.api_url) == (None, None)
    assert before < session.started_at_ns < time.time_ns()


def test_a_session_id_is_a_uuid7_of_now(monitor: StartMonitor) -> None:
    before = time.time_ns() // 1_000_000
    relay = monitor(["cat"])
    relay.finish()
    spool = relay.session()
    number = UUID(spool.name)
    assert (number.version, number.variant) == (7, "specified in RFC 4122")
    assert before <= number.int >> 80 <= time.time_ns() // 1_000_000
    assert spool.session().session_id == spool.name == str(number)


def test_flags_and_variables_are_written_down(monitor: StartMonitor) -> None:
    flags = ["--server-name", "notes", "--session-id", "mine", "--local-only", "--api-key", GOOD_KEY]
    relay = monitor(["cat"], *flags, env={"KM_API_KEY": "km_live_" + "1" * 36, "KM_API_URL": "https://km.example"})
    assert relay.finish()[1] == b""
    session = relay.session().session()
    assert (session.server_name, session.session_id, session.local_only) == ("notes", "mine", True)
    assert (session.api_key, session.api_url) == (GOOD_KEY, "https://km.example")
    assert relay.session().name != "mine"


def test_plugins_are_written_down_as_absolute_paths_each_once(monitor: StartMonitor, tmp_path: Path) -> None:
    plugin = tmp_path / "my-plugin"
    plugin.mkdir()
    relay = monitor(["cat"], "--plugin", str(plugin), "--plugin", f"{plugin}/../my-plugin", "--debug")
    relay.finish()
    session = relay.session().session()
    assert (session.plugins, session.debug) == ((str(plugin),), True)


def test_a_plugin_that_is_not_there_is_named_and_the_stream_goes_on(monitor: StartMonitor, tmp_path: Path) -> None:
    relay = monitor(["cat"], "--plugin", str(tmp_path / "nothing"))
    output, errors = relay.finish(b"{}\n")
    assert output == b"{}\n"
    assert f"there is no plugin at `{tmp_path / 'nothing'}`".encode() in errors


def test_only_the_user_can_read_what_was_recorded(monitor: StartMonitor, data_dir: Path) -> None:
    relay = monitor(["cat"], preexec_fn=lambda: os.umask(0))
    relay.finish(b"secret\n")
    spool = relay.session()
    for directory in (spool.path, spool.path.parent, data_dir):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "key", ["nonsense", "km_live_short", "km_root_" + "0" * 36, "km_live_" + "é" * 36, GOOD_KEY + "0"]
)
def test_a_key_that_cannot_be_one_is_told_in_a_line_and_harms_nothing(monitor: StartMonitor, key: str) -> None:
    relay = monitor(["cat"], "--api-key", key)
    out, err = relay.finish(b"hello\n")
    assert (out, relay.process.returncode) == (b"hello\n", 0)
    assert err.count(b"\n") == 1 and b"--api-key is not a Kilometers API key" in err
    assert key.encode() not in err
    assert relay.session().session().api_key == key


BAD_SETTINGS = {
    "KM_API_KEY": ("oops", "KM_API_KEY is not a Kilometers API key"),
    "KM_API_URL": ("km.example", "KM_API_URL `km.example` is not a URL"),
    "KM_JOURNAL_CAP_BYTES": ("1 GiB", "KM_JOURNAL_CAP_BYTES must be a number of bytes, not `1 GiB`"),
    "KM_JOURNAL_SEGMENT_BYTES": ("-5", "KM_JOURNAL_SEGMENT_BYTES must be a number of bytes, not `-5`"),
}


@pytest.mark.parametrize(("name", "value", "words"), [(name, *rest) for name, rest in BAD_SETTINGS.items()])
def test_a_bad_variable_is_named_and_harms_nothing(monitor: StartMonitor, name: str, value: str, words: str) -> None:
    relay = monitor(["cat"], env={name: value})
    out, err = relay.finish(b"hello\n")
    assert (out, relay.recorded("request")) == (b"hello\n", b"hello\n")
    assert words in err.decode() and err.count(b"\n") == 1


@pytest.mark.parametrize("session_id", ["x" * 129, "two\nlines", "../../../etc"])
def test_no_session_id_leads_out_of_the_journal(monitor: StartMonitor, data_dir: Path, session_id: str) -> None:
    relay = monitor(["cat"], "--session-id", session_id)
    assert relay.finish(b"hello\n")[0] == b"hello\n"
    assert [path.name for path in (data_dir / "journal").iterdir()] == [relay.session().name]
    assert str(UUID(relay.session().name)) == relay.session().name


def test_debug_says_what_happens_on_stderr_only(monitor: StartMonitor) -> None:
    out, err = monitor(["cat"], "--debug").finish(b"hello\n")
    assert out == b"hello\n"
    first, last = err.decode().splitlines()
    assert "the server is process" in first
    assert last.endswith("1 chunks in, 1 out; the server ended with exit code 0")


def test_a_stderr_nobody_reads_holds_nothing_up(monitor: StartMonitor, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    while _fits(write):
        continue
    os.set_blocking(write, True)
    relay = monitor(["cat"], "--debug", "--api-key", "bad", stderr=write)
    assert relay.exchange(b"hello\n") == b"hello\n"
    assert relay.finish()[0] == b""
    os.close(read)
    os.close(write)


def _fits(fd: int) -> bool:
    try:
        return os.write(fd, b"x" * 4096) > 0
    except BlockingIOError:
        return False


NAMES = {
    "npx -y @modelcontextprotocol/server-everything": "server-everything",
    "npx -y @modelcontextprotocol/server-memory@2.1": "server-memory",
    "uvx mcp-server-git --repository .": "mcp-server-git",
    "uv run server.py": "server.py",
    "/usr/local/bin/mcp-server-time": "mcp-server-time",
    "python -m mcp_server_fetch": "mcp_server_fetch",
    "C:\\tools\\server.exe": "server",
    "node": "node",
    "sh -c TOKEN=a1b2;exec": "sh",
    "python -c print('a')": "python",
    "npx FOO=bar mcp-server": "mcp-server",
}


@pytest.mark.parametrize(("command", "name"), NAMES.items())
def test_a_server_is_named_after_its_command(command: str, name: str) -> None:
    assert _name_of(command.split()) == name


@pytest.fixture
def fake_agent(tmp_path: Path) -> dict[str, str]:
    """Notes down each agent that is started, in place of running it, by a start-up hook of the interpreter."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if sys.orig_argv[1:3] == ['-m', 'km_client.agent']:\n"
        f"    open({str(tmp_path / 'started')!r}, 'a').write(f'{{os.getpid()}} {{os.getsid(0)}}\\n')\n"
        "    os._exit(0)\n"
    )
    return {"PYTHONPATH": str(tmp_path / "site"), "KM_AGENT": ""}


def test_an_agent_is_started_in_a_session_of_its_own(
    monitor: StartMonitor, tmp_path: Path, fake_agent: dict[str, str]
) -> None:
    relay = monitor(["cat"], env=fake_agent)
    eventually(
        lambda: (tmp_path / "started").exists() and (tmp_path / "started").read_text(), what="an agent was started"
    )
    pid, session = (tmp_path / "started").read_text().split()
    assert pid == session
    assert relay.finish(b"hello\n") == (b"hello\n", b"")


def test_an_agent_that_runs_is_not_started_again(
    monitor: StartMonitor, data_dir: Path, tmp_path: Path, fake_agent: dict[str, str]
) -> None:
    (data_dir / "agent").mkdir(parents=True)
    with (data_dir / "agent" / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        relay = monitor(["cat"], env=fake_agent)
        relay.finish(b"hello\n")
    assert not (tmp_path / "started").exists()
    assert not (data_dir / "agent" / "agent.log").exists()


def test_an_agent_that_cannot_be_started_is_told_and_harms_nothing(
    monitor: StartMonitor, data_dir: Path, fake_agent: dict[str, str]
) -> None:
    data_dir.mkdir()
    (data_dir / "agent").write_text("a file in the way")
    relay = monitor(["cat"], env=fake_agent)
    assert relay.exchange(b"hello\n") == b"hello\n"
    assert relay.process.stderr
    assert b"the agent cannot be started, so nothing is shipped" in relay.process.stderr.readline()
    assert relay.finish()[0] == b""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_thread_beside_the_relay_and_no_more(monitor: StartMonitor) -> None:
    relay = monitor(["cat"])
    relay.exchange(b"hello\n")
    assert len(list(Path(f"/proc/{relay.pid}/task").iterdir())) == 2
