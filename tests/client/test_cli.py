"""The command line: its help, its errors, its exit codes, and what one verb costs the others."""

from __future__ import annotations

import subprocess
import sys

import pytest
from km_client import __version__
from km_client.cli import VERBS, main

from tests.client.monitored import KM_CLIENT


def km_client(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [KM_CLIENT, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_help_names_every_verb_and_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for verb, purpose in VERBS.items():
        assert verb in text and purpose in text


def test_the_version_is_told() -> None:
    done = km_client("--version")
    assert (done.returncode, done.stdout) == (0, f"km-client {__version__}\n")


def test_nothing_at_all_shows_the_help() -> None:
    done = km_client()
    assert done.returncode == 2
    assert "monitor" in done.stdout


def test_an_unknown_verb_is_named_with_those_that_exist() -> None:
    done = km_client("moniter", "--", "cat")
    assert done.returncode == 2
    assert "`moniter` is not a verb" in done.stderr and "monitor" in done.stderr
    assert done.stdout == ""


def test_a_strangers_words_in_an_error_do_nothing_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["\x1b[2Jstatus"]) == 2
    assert "`\\x1b[2Jstatus` is not a verb" in capsys.readouterr().err


def test_monitors_help_shows_how_to_use_it() -> None:
    done = km_client("monitor", "--help")
    assert done.returncode == 0
    assert "km-client monitor -- npx -y @modelcontextprotocol/server-everything" in done.stdout
    for flag in ("--server-name", "--session-id", "--local-only", "--debug", "--api-key", "--api-url", "KM_API_KEY"):
        assert flag in done.stdout


@pytest.mark.parametrize("arguments", [["--"], [], ["--local-only"]])
def test_a_monitor_without_a_server_says_how_to_give_one(arguments: list[str]) -> None:
    done = km_client("monitor", *arguments)
    assert done.returncode == 2
    assert "error: no MCP server was given\n  hint: " in done.stderr


def test_an_unknown_flag_starts_nothing() -> None:
    done = km_client("monitor", "--plugn", "--", "echo", "started")
    assert done.returncode == 2
    assert "--plugn" in done.stderr and "started" not in done.stdout


def test_a_flag_after_the_servers_command_is_the_servers() -> None:
    done = km_client("monitor", "--", "echo", "--local-only", "--", "--help")
    assert (done.returncode, done.stdout) == (0, "--local-only -- --help\n")


def test_the_dashes_before_the_server_may_be_left_out() -> None:
    done = km_client("monitor", "--local-only", "echo", "--debug")
    assert (done.returncode, done.stdout) == (0, "--debug\n")


def test_the_relay_loads_nothing_but_the_standard_library_and_little_of_that() -> None:
    program = (
        "import sys, km_client.cli, km_client.commands.monitor, km_client.proxy.session;"
        "print(*sorted(name.partition('.')[0] for name in sys.modules))"
    )
    loaded = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "km_client" in loaded
    foreign = loaded - set(sys.stdlib_module_names) - {"km_client", "__main__"}
    assert not {name for name in foreign if not name.startswith(("_", "sitecustomize"))}
    assert not loaded & {"asyncio", "subprocess", "socket", "ssl", "http", "email", "logging", "dataclasses", "inspect"}


def test_nothing_of_the_recorder_is_loaded_before_the_server_is_started() -> None:
    program = "import sys, km_client.cli, km_client.commands.monitor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"km_client.capture", "km_client.paths", "json", "threading", "typing"} & set(loaded)
