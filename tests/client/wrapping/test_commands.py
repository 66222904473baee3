"""`wrap`, `unwrap`, `status` and `doctor` as a person and a script use them."""

from __future__ import annotations

import difflib
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from km_client.commands import monitor
from km_client.wrapping import clients, invocation, rewriting, wrapper
from km_client.wrapping.clients import ConfigFile
from km_client.wrapping.documents.editing import Pen
from km_client.wrapping.documents.tree import Edit

from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT
from tests.client.wrapping.homes import Home

PLAIN = '{"mcpServers": {"a": {"command": "npx", "args": ["-y", "x"], "env": {"TOKEN": "t-1"}}}}\n'


def wrapped_as(home: Home, *words: str) -> Path:
    command, *arguments = words
    return home.write("cursor", json.dumps({"mcpServers": {"a": {"command": command, "args": arguments}}}))


def server(path: Path) -> Any:
    return json.loads(path.read_text())["mcpServers"]["a"]


def test_a_dry_run_shows_the_change_and_writes_nothing(km: Km, home: Home, machine: Path) -> None:
    path = home.write("cursor", PLAIN)
    done = km("wrap", "--all", "--dry-run")
    assert done.code == 0 and path.read_text() == PLAIN
    assert not (machine / "data").exists()
    shown = json.loads(km("wrap", "--all", "--dry-run", "--json").out)["files"][0]
    km("wrap", "cursor")
    old, new = (text.replace("t-1", "[hidden]").splitlines() for text in (PLAIN, path.read_text()))
    assert shown["diff"].splitlines() == list(difflib.unified_diff(old, new, str(path), str(path), lineterm=""))
    assert shown["diff"] in done.out


@pytest.mark.usefixtures("home")
def test_where_no_client_is_that_is_said(km: Km) -> None:
    for verb in ("wrap", "unwrap"):
        done = km(verb, "--all")
        assert (done.code, done.out.strip()) == (0, "No configuration of an MCP client was found here.")


def test_what_a_terminal_would_act_on_is_not_sent_to_it(km: Km, home: Home) -> None:
    home.write("cursor", PLAIN.replace("\n", " // \x1b[2J\n").replace('"a"', '"a\\u001b[31m"'))
    assert "\x1b" not in km("wrap", "--all", "--dry-run").out + km("status", "--offline").out


def test_scripts_are_told_everything(km: Km, home: Home) -> None:
    path = home.write("cursor", PLAIN)
    said = json.loads(km("wrap", "cursor", "--json").out)
    assert (said["program"], said["dry_run"]) == (KM_CLIENT, False)
    (file,) = said["files"]
    assert (file["client"], file["path"], file["changed"], file["problem"]) == ("cursor", str(path), True, None)
    assert file["servers"] == [{"name": "a", "where": "", "state": "open", "note": "", "disabled": False}]
    backup = Path(file["backup"])
    assert backup.read_text() == PLAIN
    assert {stat.S_IMODE(each.stat().st_mode) for each in backup.parent.iterdir()} == {0o600}
    assert json.loads(km("unwrap", "cursor", "--json").out)["files"][0]["changed"]
    assert not backup.exists()


def test_nothing_is_done_unless_it_is_said_to_whom(km: Km, home: Home) -> None:
    path = home.write("cursor", PLAIN)
    done = km("wrap")
    assert done.code == 2 and "cursor" in done.err and "--all" in done.err
    assert path.read_text() == PLAIN
    assert "did you mean `cursor`" in km("wrap", "curser").err
    done = km("wrap", "cursor", "zed")
    assert done.code == 1 and str(home.place("zed")) in done.err
    assert path.read_text() == PLAIN, "a mistake in the names changes nothing"
    assert km("wrap", "--all", "cursor").code == 2


def test_a_server_that_was_added_later_is_wrapped_and_all_comes_back(km: Km, home: Home) -> None:
    path = home.write("cursor", PLAIN)
    km("wrap", "cursor")
    path.write_text(path.read_text().replace('{"a"', '{"b": {"command": "later"}, "a"').replace("t-1", "t-2"))
    km("wrap", "cursor")
    assert path.read_text().count(KM_CLIENT) == 2
    km("unwrap", "cursor")
    assert path.read_text() == PLAIN.replace('{"a"', '{"b": {"command": "later"}, "a"').replace("t-1", "t-2")


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("km-client", "monitor", "--server-name", "mine", "--", "npx"), ["--server-name", "mine"]),
        (("km", "monitor", "--server", "--", "npx"), ["--server-name", "a"]),
        (("/gone/km-client", "monitor", "--server-name", "a", "--", "npx"), ["--server-name", "a"]),
        ((KM_CLIENT, "monitor", "--local-only", "--", "npx"), ["--server-name", "a", "--local-only"]),
        (("uvx", "km-client", "monitor", "--server-name", "a", "--", "npx"), ["--server-name", "a"]),
        (("C:\\km\\km-client.exe", "monitor", "npx"), ["--server-name", "a"]),
        (("cmd", "/c", "km-client", "monitor", "--", "npx"), ["--server-name", "a"]),
    ],
)
def test_what_an_older_version_wrapped_is_brought_up_to_date(
    km: Km, home: Home, words: tuple[str, ...], kept: list[str]
) -> None:
    path = wrapped_as(home, *words)
    assert "wrapped by an older version" in km("status", "--offline").out
    assert "brought up to date" in km("wrap", "cursor").out
    assert server(path) == {"command": KM_CLIENT, "args": ["monitor", *kept, "--", "npx"]}
    assert "1 of 1 servers" in km("status", "--offline").out
    km("unwrap", "cursor")
    assert server(path) == {"command": "npx", "args": []}


def test_after_km_client_has_moved_all_comes_back_to_the_byte(km: Km, home: Home, tmp_path: Path) -> None:
    written = PLAIN.replace('"npx", ', '"n\\u0070x" , ').replace("}}}}", '}}, "r": {"url" :"https://x"}}}')
    path = home.write("cursor", written)
    gone = tmp_path / "venv" / "km-client"
    gone.parent.mkdir()
    gone.touch()
    wrapper.wrap(ConfigFile(clients.named(["cursor"])[0], path), str(gone))
    gone.unlink()
    assert "cannot start" in km("doctor").out
    assert km("wrap", "cursor").code == 0 and str(gone) not in path.read_text()
    assert km("unwrap", "cursor").code == 0 and path.read_text() == written


def test_an_older_bridge_keeps_its_address_and_headers(km: Km, home: Home) -> None:
    path = wrapped_as(home, "km-client", "monitor", "--url", "https://x", "--header", "A: b", "--transport", "sse")
    km("wrap", "cursor")
    words = ["monitor", "--server-name", "a", "--url", "https://x", "--header", "A: b", "--transport", "sse"]
    assert server(path) == {"command": KM_CLIENT, "args": words}
    km("unwrap", "cursor")
    assert server(path) == {"url": "https://x", "headers": {"A": "b"}}


def test_a_wrapped_server_that_cannot_start_is_a_problem_for_the_doctor(km: Km, home: Home) -> None:
    wrapped_as(home, "/gone/km-client", "monitor", "--server-name", "a", "--", "npx")
    done = km("doctor", "--json")
    (check,) = [check for check in json.loads(done.out)["checks"] if check["name"] == "clients"]
    assert (done.code, check["state"]) == (1, "problem") and "/gone/km-client is not there" in check["words"]


def test_uncovered_servers_are_worth_a_note(km: Km, home: Home) -> None:
    path = home.write("cursor", PLAIN)
    assert "0 of 1 servers of Cursor; `km-client wrap --all` covers the others" in km("status", "--offline").out
    (check,) = [check for check in json.loads(km("doctor", "--json").out)["checks"] if check["name"] == "clients"]
    assert (check["state"], check["fix"]) == ("note", "run `km-client wrap --all`")
    assert path.read_text() == PLAIN


def test_remote_servers_can_be_left_alone(km: Km, home: Home) -> None:
    path = home.write("cursor")
    km("wrap", "cursor", "--no-remote")
    assert '"url": "https://example.test/mcp"' in path.read_text() and KM_CLIENT in path.read_text()


def test_unwrap_needs_no_record(km: Km, home: Home, machine: Path) -> None:
    path = home.write("cursor", PLAIN)
    km("wrap", "cursor")
    for record in (machine / "data" / "wrapping").glob("*/record.json"):
        record.write_text("{")
    km("unwrap", "cursor")
    assert path.read_text() == PLAIN


def test_every_option_of_the_monitor_is_known_here() -> None:
    from argparse import ArgumentParser  # noqa: PLC0415 - what the monitor itself builds

    parser = ArgumentParser(add_help=False)
    monitor.add_arguments(parser)
    takes = {option: action.nargs is None for action in parser._actions for option in action.option_strings}
    assert takes.items() <= invocation.TAKES_VALUE.items()


def test_what_is_written_is_written_as_its_neighbours_are(km: Km, home: Home) -> None:
    path = home.write("cursor")
    km("wrap", "cursor", "--no-remote")
    lines = ["monitor", "--server-name", "time", "--", "npx"]
    written = "".join(f'        "{word}",\n' for word in lines)
    assert f'"args": [\n{written}        "--local-timezone", // where I live\n' in path.read_text()


def test_the_copy_alone_gives_back_every_byte(km: Km, home: Home, machine: Path) -> None:
    path = home.write("cursor", '{"mcpServers": {"a": {"command": "n\\u0070x"}}}')
    before = path.read_bytes()
    km("wrap", "cursor")
    (record,) = (machine / "data" / "wrapping").glob("*/record.json")
    record.write_text(json.dumps(json.loads(record.read_text()) | {"undo": []}))
    km("unwrap", "cursor")
    assert path.read_bytes() == before


def test_an_edit_that_would_change_more_is_not_written(km: Km, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home.write("cursor", PLAIN)
    real = rewriting.wrap

    def clumsy(pen: Pen, *rest: Any) -> tuple[list[Edit], list[str]]:
        edits, words = real(pen, *rest)
        at = pen.text.index("t-1")
        return [*edits, Edit(at, at + 1, "")], words

    monkeypatch.setattr(rewriting, "wrap", clumsy)
    done = km("wrap", "cursor")
    assert done.code == 1 and "would have changed more than it should" in done.err
    assert path.read_text() == PLAIN
