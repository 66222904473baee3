"""A Python plugin as a process: what a host can rely on, and what it survives."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from grpclib.exceptions import GRPCError, StreamTerminatedError
from km_plugin_sdk.mutual_tls import client_context, make_identity
from km_plugin_sdk.serving import COOKIE_KEY, COOKIE_VALUE
from km_plugin_sdk.testing import PluginProcess, TokenIssuer, golden_events

HEAD = "from km_plugin_sdk import Plugin, serve\nimport os, sys, time, threading\nclass P(Plugin):\n"
QUIET = "    def handle_stream_event(self, event): pass\n"
Write = Callable[..., list[str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a plugin of the given methods and return the command that starts it."""

    def write(body: str = QUIET, *, before: str = "", manifest: str = "") -> list[str]:
        (tmp_path / "main.py").write_text(f"{before}\n{HEAD}{body}\nserve(P())\n")
        if manifest:
            (tmp_path / "manifest.json").write_text(manifest)
        return [sys.executable, "-I", "-B", "-m", "km_plugin_sdk", str(tmp_path / "main.py")]

    return write


def test_run_by_hand_it_says_what_it_is(write: Write) -> None:
    command = write()
    for way in (command, [sys.executable, command[-1]]):
        done = subprocess.run(way, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and not done.stdout
        assert "This program is a plugin" in done.stderr and "km-client monitor --plugin" in done.stderr


def test_another_hosts_cookie_is_not_ours(write: Write) -> None:
    done = subprocess.run(write(), env={COOKIE_KEY: "other"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "plugin" in done.stderr


@pytest.mark.parametrize("tls", [False, True])
def test_the_golden_stream_goes_through(write: Write, tls: bool) -> None:
    body = "    def handle_stream_event(self, event): print(event.id, event.sequence, len(event.message))\n"
    with PluginProcess(write(body), tls=tls) as process:
        assert process.handshake[:3] == ["1", "1", "unix"] and bool(process.handshake[5]) is tls
        assert process.initialize().success
        assert process.feed(golden_events()) == 0
        assert process.handle(golden_events()[0]).success
        assert process.info().handled == len(golden_events()) + 1
    assert process.exit_code == 0
    wanted = [f"{event.id} {event.sequence} {len(event.message)}" for event in golden_events()]
    assert process.output.splitlines() == [*wanted, wanted[0]]


def test_the_socket_is_private_and_removed_at_the_end(write: Write, tmp_path: Path) -> None:
    with PluginProcess(write(), env={"PLUGIN_UNIX_SOCKET_DIR": str(tmp_path)}) as process:
        path = Path(process.handshake[3])
        assert path.parent == tmp_path and path.stat().st_mode & 0o077 == 0
        process.initialize()
    assert not path.exists()


def test_noise_before_the_handshake_does_not_reach_it(write: Write) -> None:
    noisy = "print('one'); import os; os.system('echo two'); os.write(1, b'three\\n'); print('x' * 200_000)"
    with PluginProcess(write(before=noisy)) as process:
        assert process.initialize().success
    assert process.output.startswith("one\ntwo\nthree\nxxx") and len(process.output) > 200_000


def test_health_is_answered_while_a_handler_hangs(write: Write) -> None:
    with PluginProcess(write("    def handle_stream_event(self, event): threading.Event().wait()\n")) as process:
        process.initialize()
        with pytest.raises(TimeoutError):
            process.handle(golden_events()[0], timeout=0.2)
        assert process.is_healthy()
    assert process.exit_code == 0  # hanging handlers do not keep the process


def test_what_a_handler_raises_is_counted_and_the_next_event_handled(write: Write) -> None:
    body = (
        "    def handle_stream_event(self, event):\n"
        "        if event.sequence % 2: raise ValueError('odd')\n"
        "        if event.sequence == 4: sys.exit(3)\n"
        "        if event.sequence == 6: raise StopIteration\n"
    )
    with PluginProcess(write(body)) as process:
        process.initialize()
        events = golden_events()
        assert process.handle(events[0]).error == "ValueError: odd"
        assert "SystemExit" in process.handle(events[3]).error
        assert process.feed([events[0], events[5], events[7]]) == 2
        info = process.info()
    assert (info.handled, info.failed) == (1, 4)
    assert "odd" in process.errors


def test_events_before_initialize_are_refused(write: Write) -> None:
    with PluginProcess(write()) as process, pytest.raises(GRPCError, match="Initialize has not succeeded"):
        process.handle(golden_events()[0])


def test_what_initialize_raises_is_the_answer(write: Write) -> None:
    body = QUIET + "    def initialize(self, config): raise RuntimeError('no such directory: /srv/x')\n"
    with PluginProcess(write(body)) as process:
        answer = process.initialize()
    assert not answer.success and answer.error == "RuntimeError: no such directory: /srv/x"


MANIFEST = """{"name": "mine", "version": "2.0.0", "features": {"required": ["api_logging"]},
 "configuration": {"schema": {"type": "object", "properties": {"most": {"type": "integer", "default": 5}}}}}"""


def test_the_manifest_beside_it_decides_settings_and_required_features(write: Write) -> None:
    body = QUIET + "    def initialize(self, config): print(config.custom_settings, sorted(config.features))\n"
    with PluginProcess(write(body, manifest=MANIFEST)) as process:
        assert "`api_logging` is not available" in process.initialize("mine").error
        pro = {"features": ["api_logging", "console_logging"], "tier": "Pro"}
        assert "$.most" in process.initialize("mine", custom_settings={"most": "x"}, **pro).error
        assert process.initialize("mine", **pro).success
        assert process.initialize("mine", custom_settings={"most": 7}, **pro).success
        info = process.info()
    assert (info.name, info.version) == ("mine", "2.0.0")
    assert "{'most': 5} ['api_logging', 'console_logging']" in process.output and "{'most': 7}" in process.output


def test_a_token_that_is_not_its_own_is_refused(write: Write) -> None:
    ours, now = TokenIssuer(), time.time()
    tokens = {
        "wrong customer": ours.token(plugin_name="mine", customer_id="cus_other", at=now),
        "wrong plugin": ours.token(plugin_name="other", customer_id="cus_test", at=now),
        "expired": ours.token(plugin_name="mine", customer_id="cus_test", at=now - 3600),
        "forged": TokenIssuer().token(plugin_name="mine", customer_id="cus_test", at=now),
    }
    with PluginProcess(write()) as process:
        for token in tokens.values():
            assert not process.initialize("mine", jwt=token, token_keys=ours.jwks).success
        assert process.initialize("mine").success


def test_without_a_token_only_the_free_feature_is_left(write: Write) -> None:
    body = QUIET + "    def initialize(self, config): print(sorted(config.features))\n"
    with PluginProcess(write(body)) as process:
        assert process.initialize(features=["console_logging", "api_logging"], jwt="").success
    assert process.output == "['console_logging']\n"


def test_a_change_of_tier_reaches_the_running_plugin_and_a_bad_token_takes_all(write: Write) -> None:
    body = "    def handle_stream_event(self, event): print(self.config.tier, sorted(self.config.features))\n"
    with PluginProcess(write(body)) as process:
        process.initialize()
        process.handle(golden_events()[0])
        assert process.update_config(features=["api_logging"], tier="Pro").success
        process.handle(golden_events()[0])
        assert not process.update_config(features=["api_logging"], jwt="bad").success
        process.handle(golden_events()[0])
    assert process.output.splitlines() == ["Free ['console_logging']", "Pro ['api_logging']", "Pro []"]


def test_losing_the_network_and_finding_it_again_reaches_the_running_plugin(write: Write) -> None:
    body = """
    def handle_stream_event(self, event): pass
    def update_config(self, config):
        print(config.source, config.tier, config.has_feature("api_logging"), bool(config.jwt))
"""
    issuer = TokenIssuer()
    pro: dict[str, Any] = {"features": ["console_logging", "api_logging"], "tier": "Pro", "issuer": issuer}
    spent = issuer.token(
        plugin_name="plugin", customer_id="cus_test", at=time.time() - 3600, features=["api_logging"], tier="Pro"
    )
    with PluginProcess(write(body)) as process:
        assert process.initialize(**pro).success
        assert process.update_config(**pro, offline=True).success
        assert process.update_config(**pro, offline=True, jwt=spent).success
        assert process.update_config(**pro).success
        refused = process.update_config(
            **pro, lease=TokenIssuer().lease(customer_id="cus_test", at=time.time()), jwt=""
        )
        assert "the lease does not verify" in refused.error
    lease, token = "lease Pro True False", "token Pro True True"
    assert process.output.splitlines() == [lease, lease, token, "none Pro False False"]


def test_a_flood_on_stdout_neither_blocks_nor_fills_the_memory(write: Write) -> None:
    body = (
        "    def handle_stream_event(self, event):\n"
        "        import psutil\n"  # ru_maxrss will not do: exec keeps the high mark of the process that forked
        "        before = psutil.Process().memory_info().rss\n"
        "        for _ in range(1000): os.write(1, b'y' * 65536)\n"
        "        print('grew by', psutil.Process().memory_info().rss - before, 'bytes', file=sys.stderr)\n"
    )
    with PluginProcess(write(body)) as process:
        process.initialize()
        process._stdio.cancel()  # a host that does not listen
        assert process.handle(golden_events()[0]).success
        assert process.is_healthy()
    grown = re.search(r"grew by (-?\d+) bytes", process.errors)
    assert grown is not None and int(grown.group(1)) < 10_000_000  # 65 MB were printed, 1 MiB is held


def test_the_host_that_asks_twice_or_only_go_plugins_way_gets_one_shutdown(write: Write) -> None:
    body = QUIET + "    def shutdown(self): print('bye', flush=True)\n"
    with PluginProcess(write(body)) as process:
        process.initialize()
    assert process.output == "bye\n" and process.exit_code == 0


def test_ctrl_c_is_the_hosts_to_handle_and_sigterm_is_an_orderly_end(write: Write) -> None:
    body = QUIET + "    def shutdown(self): sys.stderr.write('orderly\\n')\n"
    with PluginProcess(write(body)) as process:
        process.initialize()
        process.process.send_signal(signal.SIGINT)
        assert process.is_healthy()
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(5) == 0
    assert "orderly" in process.errors


def test_it_ends_when_its_host_is_killed(write: Write, tmp_path: Path) -> None:
    """A host that is gone cannot ask. The middleman below is the host; the test holds only a pipe."""
    command = write()
    host = (
        f"import subprocess, sys, time; p = subprocess.Popen({command!r}, stdout=subprocess.PIPE); "
        "print(p.pid, flush=True); p.stdout.readline(); print('up', flush=True); time.sleep(60)"
    )
    env = {COOKIE_KEY: COOKIE_VALUE, "PLUGIN_UNIX_SOCKET_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    process = subprocess.Popen([sys.executable, "-c", host], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert process.stdout.readline() == "up\n"
    process.kill()
    process.wait()
    process.stdout.close()
    deadline, gone = time.monotonic() + 10, threading.Event()
    while _runs(pid) and time.monotonic() < deadline:
        gone.wait(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_with_tls_nobody_else_gets_in(write: Write) -> None:
    with PluginProcess(write(), tls=True) as process:
        stranger = client_context(process.handshake[5], make_identity(now=datetime.now(UTC)))
        channel = process._run(process._open(process.handshake[3], stranger))
        process._channel, ours = channel, process._channel
        with pytest.raises((ssl.SSLError, StreamTerminatedError, OSError)):
            process.is_healthy()
        process._channel = ours
        channel.close()
        assert process.initialize().success


def test_a_socket_path_that_is_too_long_is_named(write: Write, tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    env = {COOKIE_KEY: COOKIE_VALUE, "PLUGIN_UNIX_SOCKET_DIR": str(directory)}
    done = subprocess.run(write(), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "too long" in done.stderr
