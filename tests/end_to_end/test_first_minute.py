"""From nothing to the first message on the dashboard: log in, wrap, and use the MCP client as before."""

from __future__ import annotations

from pathlib import Path

from benchmarks._first_day import TOOL, FirstDay
from scripts.terminal_svg import COLOURS, Line, folded, svg
from scripts.walkthrough import Told, aligned
from tests.end_to_end.service import Account, Service


def test_a_call_of_a_wrapped_server_is_on_the_dashboard_and_unwrap_gives_the_file_back(
    service: Service, own_account: Account, tmp_path: Path
) -> None:
    with FirstDay(tmp_path, service, own_account) as day:
        before = day.config.read_bytes()
        assert not day.is_shown()
        day.log_in()
        assert day.run("wrap", "cursor").returncode == 0
        day.call()
        day.wait_until_shown()
        assert TOOL in day.run("logs").stdout
        assert day.run("unwrap", "cursor").returncode == 0
        assert day.config.read_bytes() == before


def test_the_walk_through_shows_nothing_of_the_machine_it_was_made_on() -> None:
    told = Told(Path("/tmp/scratch/home"), "http://127.0.0.1:38173")
    said = told(
        "Open http://127.0.0.1:38173/app/device, code NRBZ-VCXZ\n"
        "/tmp/scratch/home/.cursor  km_inst_Ab12  process 29359\n"
        "08:52:03.936  2071.7 ms\n08:52:06.029  3.2 ms  01a21111-0000"
    )
    assert said == (
        "Open https://kilometers.example.com/app/device, code WDJB-MJHT\n~/.cursor  km_inst_4cOu  process 4711\n"
        "10:00:00.012   412.0 ms\n10:00:00.109  4.1 ms  01a2079a-eed9"
    )
    assert aligned(["a    bc", "long  d"]) == ["a     bc", "long  d"]


def test_the_picture_shows_every_line_in_both_themes_and_runs_nothing() -> None:
    drawn = svg([Line("$ <b>&", "command"), Line("x" * 25)], columns=20)
    assert "$ &lt;b&gt;&amp;" in drawn and "x" * 20 + "<" in drawn and "x" * 5 + "<" in drawn
    assert folded("", 20) == [""] and folded("x" * 25, 20) == ["x" * 20, "x" * 5]
    assert all(colour in drawn for pair in COLOURS.values() for colour in pair)
    assert "<script" not in drawn and "prefers-color-scheme: dark" in drawn
