"""`top` on a screen of its own: a real journal that grows while it is watched, and every key."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import anyio
import pytest
from km_client.watching import sources
from km_client.watching.live import Follower
from km_client.watching.top.app import Table, Top
from km_client.watching.top.details import Details
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tests.client.agent.conftest import Record
from tests.client.agent.recorder import Recorded, answer, call
from tests.client.commands.conftest import Km
from tests.client.monitored import KM_CLIENT, PATIENCE_SECONDS

SMALL = (80, 24)
EVER = datetime(2020, 1, 1, tzinfo=UTC)
Watch = Callable[["Pilot[None]", "Top"], Awaitable[None]]


def watch(how: Watch, size: tuple[int, int] = SMALL) -> None:
    """Run the whole application without a terminal, and do something with it."""

    async def go() -> None:
        app = Top(Follower(sources.redactor(), EVER))
        async with app.run_test(size=size) as pilot:
            await how(pilot, app)

    anyio.run(go)


async def until(pilot: Pilot[None], app: Top, condition: Callable[[], object]) -> None:
    """Until the screen shows it: each look is asked for, none is waited for."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not condition():
            await app.look()
            await pilot.pause()


def cells(app: Top, name: str) -> list[list[str]]:
    table = app.query_one(f"#{name}", Table)
    return [[cell.plain.strip() for cell in table.get_row_at(number)] for number in range(table.row_count)]


def summary(app: Top) -> str:
    return str(app.query_one("#summary", Static).render())


@pytest.fixture
def session(record: Record) -> Recorded:
    return record()


def test_what_is_called_appears_ages_and_is_answered(session: Recorded) -> None:
    async def how(pilot: Pilot[None], app: Top) -> None:
        assert "1 live" in summary(app) or not cells(app, "calls")
        session.request(call(1, tool="slow"))
        await until(pilot, app, lambda: cells(app, "calls"))
        (row,) = cells(app, "calls")
        assert row[1:4] == ["git", "tools/call slow", "open"] and row[4].endswith(("s", "min"))
        assert cells(app, "sessions")[0][7] == "1"
        session.response(answer(1))
        await until(pilot, app, lambda: cells(app, "calls")[0][3] == "ok")
        assert cells(app, "calls")[0][4:] == ["1.0 ms", "82 bytes"] and cells(app, "sessions")[0][7] == ""
        session.request(call(2, tool="bad"))
        session.response(b'{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"no such tool"}}\n')
        await until(pilot, app, lambda: cells(app, "errors"))
        assert cells(app, "errors")[0][2:] == ["tools/call bad", "-32602 no such tool"]
        assert cells(app, "calls")[0][3] == "ERROR" and "1 error" in summary(app)
        session.end()
        await until(pilot, app, lambda: cells(app, "sessions")[0][2] == "ended")
        assert "0 live" in summary(app)

    watch(how)


def test_the_filter_narrows_and_escape_shows_all_again(session: Recorded) -> None:
    async def how(pilot: Pilot[None], app: Top) -> None:
        for number, tool in enumerate(("git_log", "git_push")):
            session.request(call(number, tool=tool))
        await until(pilot, app, lambda: len(cells(app, "calls")) == 2)
        await pilot.press("slash", *"push")
        assert app.query_one("#filter", Input).has_focus
        assert [row[2] for row in cells(app, "calls")] == ["tools/call git_push"]
        await pilot.press("enter")
        assert app.query_one("#calls").has_focus and len(cells(app, "calls")) == 1
        await pilot.press("escape")
        assert len(cells(app, "calls")) == 2 and not app.query_one("#filter").display

    watch(how)


def test_a_paused_screen_stands_still_and_catches_up(session: Recorded) -> None:
    async def how(pilot: Pilot[None], app: Top) -> None:
        await pilot.press("p")
        assert "PAUSED" in summary(app)
        session.request(call(1))
        await until(pilot, app, app.board.calls)
        assert cells(app, "calls") == []
        await pilot.press("p")
        assert len(cells(app, "calls")) == 1 and "PAUSED" not in summary(app)

    watch(how)


def test_enter_shows_what_was_said_and_names_nothing_as_markup(session: Recorded) -> None:
    async def how(pilot: Pilot[None], app: Top) -> None:
        session.request(call(1, tool="[bold]x\x1b[2J", text="hello"))
        session.response(answer(1, "y" * 100_000))
        await until(pilot, app, lambda: cells(app, "calls") and cells(app, "calls")[0][3] == "ok")
        assert cells(app, "calls")[0][2] == "tools/call [bold]x\\x1…"
        await pilot.press("enter")
        assert isinstance(app.screen, Details)
        text = str(app.screen.query_one(Static).render())
        assert '"text": "hello"' in text and "only the first 16.4 kB" in text and "\x1b" not in text
        await pilot.press("escape")
        assert not isinstance(app.screen, Details)

    watch(how)


def test_enter_on_a_session_shows_its_calls_only(record: Record) -> None:
    first, second = record("run-1", server_name="one"), record("run-2", server_name="two")

    async def how(pilot: Pilot[None], app: Top) -> None:
        first.request(call(1))
        second.request(call(2))
        await until(pilot, app, lambda: len(cells(app, "calls")) == 2)
        app.query_one("#sessions").focus()
        chosen = cells(app, "sessions")[0][0]
        await pilot.press("enter")
        assert [row[1] for row in cells(app, "calls")] == [chosen]
        assert chosen in str(app.query_one("#calls").border_title)
        await pilot.press("escape")
        assert len(cells(app, "calls")) == 2

    watch(how)


@pytest.mark.parametrize("size", [(40, 12), (60, 20), SMALL, (200, 60)])
def test_every_size_of_terminal_shows_every_pane_and_the_keys(session: Recorded, size: tuple[int, int]) -> None:
    async def how(pilot: Pilot[None], app: Top) -> None:
        session.request(call(1))
        await until(pilot, app, lambda: cells(app, "calls"))
        for name in ("summary", "spark", "sessions", "calls", "errors"):
            widget = app.query_one(f"#{name}")
            assert widget.region.width == size[0] and widget.region.height > 0
        if size >= SMALL:
            panes = [app.query_one(f"#{name}").region for name in ("sessions", "calls", "errors")]
            assert all(pane.bottom <= size[1] - 1 for pane in panes)
        assert {binding.binding.description for binding in app.active_bindings.values()} >= {"Quit", "Filter", "Pause"}
        await pilot.resize_terminal(*SMALL)
        await until(pilot, app, lambda: len(cells(app, "calls")[0]) == 6)

    watch(how, size)


def test_an_answer_that_is_nested_as_deeply_as_can_be_read_is_shown_without_its_words(session: Recorded) -> None:
    """What can be read at all can be read less deeply from within an application."""
    deep = b"[" * 975 + b"]" * 975

    async def how(pilot: Pilot[None], app: Top) -> None:
        session.request(call(1))
        session.response(b'{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no","data":%b}}\n' % deep)
        await until(pilot, app, lambda: cells(app, "errors"))
        assert cells(app, "errors")[0][2] == "tools/call git_log" and cells(app, "calls")[0][3] == "ERROR"

    watch(how)


def test_an_unreadable_journal_is_said(record: Record) -> None:
    session = record()
    session.request(call(1))
    (segment,) = session.path.glob("request-*.kmj")
    segment.write_bytes(b"KMJ9" + segment.read_bytes()[4:])

    async def how(pilot: Pilot[None], app: Top) -> None:
        await until(pilot, app, lambda: "1 unreadable" in summary(app))

    watch(how)


@pytest.mark.parametrize("keys", [("q",), ("ctrl+c",), ("slash", "x", "ctrl+c")])
def test_q_quits_and_so_does_what_ends_any_other_program(session: Recorded, keys: tuple[str, ...]) -> None:
    async def how(pilot: Pilot[None], app: Top) -> None:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.return_code == 0

    watch(how)


def test_without_a_terminal_it_says_what_to_use_instead(machine: object) -> None:
    done = subprocess.run([KM_CLIENT, "top"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "`top` needs a terminal" in done.stderr and "logs --follow" in done.stderr


def test_without_textual_it_says_how_to_get_it(km: Km, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.setattr("km_client.commands.top.is_terminal", lambda: True)
    done = km("top")
    assert done.code == 1 and "pip install 'km-client[top]'" in done.err


def test_no_other_command_loads_textual() -> None:
    program = (
        "import sys\nfrom km_client import cli\n"
        "import km_client.commands.top, km_client.commands.sessions, km_client.commands.replay\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"textual", "rich", "msgspec"} & set(loaded)
