"""From a path to a running plugin: what is wrong on the way is named, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from km_client.plugins import discovery
from km_client.plugins.errors import RefusedError
from km_client.plugins.sandbox.kernel import Kernel
from km_client.plugins.settings import HostSettings
from km_client.plugins.status import inspection
from km_client.plugins.supervisor import PluginSupervisor

from tests.client.plugins.conftest import MakeMisfit, MakePlugin, manifest
from tests.client.plugins.supervised import IMPATIENT, begin, configure, event, family, trying, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the launcher is Linux's")


def test_a_plugin_with_the_guides_three_calls_gets_its_events_one_by_one(
    supervisor: PluginSupervisor, make_misfit: MakeMisfit
) -> None:
    assert begin(supervisor, make_misfit("unary")).state == "running"
    supervisor.offer([event(number) for number in range(200)])
    status = until(supervisor, lambda status: status.handled == 200)
    assert (status.failed, status.dropped) == (0, {})
    assert "one by one" in Path(status.log).read_text()


@pytest.mark.parametrize(
    ("fault", "state", "code", "says"),
    [
        ("wrong-cookie", "refused", "handshake_cookie", "another magic cookie"),
        ("wrong-version", "refused", "handshake_version", "`7`"),
        ("noise", "refused", "handshake_noise", "loading config"),
        ("netrpc", "refused", "handshake_protocol", "`netrpc`"),
        ("exits", "disabled", "exited_before_handshake", "cannot find my licence"),
    ],
)
def test_a_wrong_handshake_is_named(
    supervisor: PluginSupervisor,
    make_misfit: MakeMisfit,
    fault: str,
    state: str,
    code: str,
    says: str,
) -> None:
    status = begin(supervisor, make_misfit(fault))
    assert status.trouble is not None
    assert (status.state, status.trouble.code) == (state, code)
    assert says in status.trouble.message
    assert says in Path(status.log).read_text()


@pytest.mark.parametrize(
    ("fault", "state", "code", "says"),
    [
        ("initialize-hangs", "disabled", "initialize_timeout", "longer than 0.2 s"),
        ("initialize-exits", "disabled", "exited", "exited with code 4"),
        ("initialize-refuses", "refused", "initialize_refused", "no licence for this customer"),
        ("initialize-fails", "refused", "initialize_failed", "cannot open its database"),
    ],
)
def test_a_plugin_that_cannot_be_initialized_is_named(
    impatient: HostSettings, make_misfit: MakeMisfit, fault: str, state: str, code: str, says: str
) -> None:
    before = family()
    hurried = replace(impatient, deadlines=replace(IMPATIENT, initialize=0.2))
    supervisor = PluginSupervisor(hurried, configure)
    try:
        status = begin(supervisor, make_misfit(fault))
        assert status.trouble is not None
        assert (status.state, status.trouble.code) == (state, code)
        assert says in status.trouble.message
        assert family() <= before
    finally:
        supervisor.stop()


def test_a_plugin_that_never_says_hello_is_given_up(impatient: HostSettings, make_misfit: MakeMisfit) -> None:
    hurried = replace(impatient, deadlines=replace(IMPATIENT, start=0.3))
    supervisor = PluginSupervisor(hurried, configure)
    try:
        status = begin(supervisor, make_misfit("silent"))
        assert status.trouble is not None
        assert (status.state, status.trouble.code, status.crashes) == ("disabled", "start_timeout", 5)
    finally:
        supervisor.stop()


@pytest.mark.parametrize("kind", ["python", "go"])
def test_a_plugin_that_wants_mutual_tls_gets_it(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, kind: str
) -> None:
    assert begin(supervisor, replace(make_plugin(kind), mutual_tls=True)).state == "running"
    supervisor.offer([event()])
    until(supervisor, lambda status: status.handled == 1)


def test_level_strict_refuses_what_the_kernel_cannot_enforce_and_says_what_is_missing(
    impatient: HostSettings, make_plugin: MakePlugin
) -> None:
    supervisor = PluginSupervisor(impatient, configure, kernel=Kernel("x86_64", 0, frozenset({"errno"})))
    try:
        status = begin(supervisor, make_plugin("go"))
    finally:
        supervisor.stop()
    assert status.trouble is not None
    assert (status.state, status.trouble.code) == ("refused", "sandbox_missing")
    assert "Linux 5.13" in status.trouble.message
    assert status.pid is None


def test_level_best_effort_starts_with_what_there_is_and_says_what_is_not(
    impatient: HostSettings, make_plugin: MakePlugin
) -> None:
    older = Kernel(os.uname().machine, 0, frozenset({"errno", "allow"}))
    supervisor = PluginSupervisor(replace(impatient, level="best-effort"), configure, kernel=older)
    try:
        status = begin(supervisor, make_plugin("go"))
        shown = inspection(status)
        supervisor.offer([trying("tcp", host="127.0.0.1", port=1)])
        until(supervisor, lambda status: status.failed == 1)
    finally:
        supervisor.stop()
    assert status.state == "running"
    assert {row["code"] for row in shown["not_enforced"]} == {"files", "truncation"}
    assert {"sockets", "processes"} <= {row["code"] for row in shown["enforced"]}


def test_level_off_enforces_nothing_and_says_so(
    impatient: HostSettings, make_plugin: MakePlugin, tmp_path: Path
) -> None:
    supervisor = PluginSupervisor(replace(impatient, level="off"), configure)
    try:
        status = begin(supervisor, make_plugin("go"))
        supervisor.offer([trying("write", path=str(tmp_path / "anywhere"))])
        until(supervisor, lambda status: status.handled == 1)
    finally:
        supervisor.stop()
    assert inspection(status)["enforced"] == []


def refusal(path: Path, **options: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        discovery.find(path, **options)
    return caught.value


def test_what_cannot_be_started_is_named(make_plugin: MakePlugin, tmp_path: Path) -> None:
    spec = make_plugin("go")
    assert refusal(tmp_path / "nowhere").code == "plugin_missing"
    assert refusal(tmp_path).code == "manifest_missing"
    assert refusal(spec.path, private=(spec.path / "config",)).code == "plugin_place"
    assert discovery.find(spec.program).own == (spec.program, spec.path / "manifest.json")
    spec.program.chmod(0o600 & ~stat.S_IXUSR)
    assert refusal(spec.path).code == "program_not_executable"
    spec.program.write_bytes(b"#!/bin/sh\n")
    spec.program.chmod(0o700)
    assert "is a script" in str(refusal(spec.path))
    spec.program.write_bytes(b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + (183).to_bytes(2, "little").ljust(46, b"\0"))
    assert "was built for aarch64" in str(refusal(spec.path)) or os.uname().machine == "aarch64"
    spec.program.unlink()
    assert refusal(spec.path).code == "program_missing"
    (spec.path / "manifest.json").write_text("{}")
    assert refusal(spec.path).code == "manifest_invalid"


@pytest.mark.parametrize(
    ("runtime", "compatibility", "code"),
    [
        ("go", {"kilometers_cli": ">=1.0.0", "go_version": ">=99"}, ""),
        ("python", {"kilometers_cli": "^1.0", "python_version": ">=3.11"}, ""),
        ("go", {"kilometers_cli": ">=2.0.0"}, "cli_incompatible"),
        ("python", {"kilometers_cli": ">=0.1.0 <1.0.0"}, "cli_incompatible"),
        ("python", {"kilometers_cli": "*", "python_version": "<3.9"}, "python_incompatible"),
    ],
)
def test_a_plugin_made_for_another_version_is_refused_when_it_is_found(
    make_plugin: MakePlugin, runtime: str, compatibility: dict[str, str], code: str
) -> None:
    spec = make_plugin(runtime)
    (spec.path / "manifest.json").write_text(manifest("made-for", runtime, spec.manifest.entry, compatibility))
    if not code:
        assert discovery.find(spec.path).name == "made-for"
        return
    error = refusal(spec.path)
    assert error.code == code
    assert compatibility.get("python_version", compatibility["kilometers_cli"]) in str(error)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (Path.unlink, "program_missing"),
        (lambda program: program.chmod(0o600), "program_not_executable"),
        (lambda program: program.write_bytes(b"no program at all"), "program_architecture"),
    ],
)
def test_a_program_that_is_spoilt_after_it_was_found_is_named(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, spoil: Callable[[Path], object], code: str
) -> None:
    spec = make_plugin("go")
    spoil(spec.program)
    status = begin(supervisor, spec)
    assert status.trouble is not None
    assert (status.state, status.trouble.code) == ("refused", code)


def test_a_python_file_that_vanishes_or_ends_before_it_serves_is_named(
    supervisor: PluginSupervisor, make_plugin: MakePlugin
) -> None:
    spec = make_plugin("python")
    (spec.path / "main.py").write_text("raise SystemExit('no licence')")
    status = begin(supervisor, spec)
    assert status.trouble is not None
    assert (status.state, status.trouble.code) == ("disabled", "exited_before_handshake")
    assert "no licence" in status.trouble.message
    (spec.path / "main.py").unlink()
    status = begin(supervisor, spec)
    assert status.trouble is not None
    assert "No such file" in status.trouble.message


def test_a_host_that_cannot_make_the_state_directory_says_so_and_tries_again(
    impatient: HostSettings, make_plugin: MakePlugin
) -> None:
    impatient.state_root.write_text("not a directory")
    supervisor = PluginSupervisor(impatient, configure)
    try:
        status = begin(supervisor, make_plugin("go"))
    finally:
        supervisor.stop()
    assert status.trouble is not None
    assert (status.state, status.trouble.code, status.crashes) == ("disabled", "host_io", 5)
    assert str(impatient.state_root) in status.trouble.message


def test_a_host_with_many_open_files_starts_a_guarded_plugin(impatient: HostSettings, make_plugin: MakePlugin) -> None:
    supervisor = PluginSupervisor(replace(impatient, level="off"), configure)
    with ExitStack() as many:
        for _ in range(150):
            many.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        try:
            status = begin(supervisor, make_plugin("go"))
            assert (status.state, status.trouble) == ("running", None)
            assert list(Path(f"/proc/{status.pid}/fd").iterdir()) == []  # of the guard
        finally:
            supervisor.stop()


@pytest.mark.parametrize("system", [False, True])
def test_signals_the_host_ignores_are_not_ignored_by_the_plugin(
    supervisor: PluginSupervisor, make_plugin: MakePlugin, *, system: bool
) -> None:
    ignored = (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1)
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in ignored]
    try:
        started = begin(supervisor, make_plugin("go", system=system))
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    assert started.pid is not None
    guard = psutil.Process(started.pid)
    for process in (guard, *guard.children()):
        assert "SigIgn:\t0000000000000000\n" in Path(f"/proc/{process.pid}/status").read_text()
