"""The screen of `km-client top`. What it shows comes from `board`, what the board knows from `live`.

    km-client top              2 live  ·  12.4 calls/s  ·  p50 8.1 ms  p95 120 ms  ·  3 errors
    latency ▁▁▂▁▁▁▃▁▁█▁▁▂
    sessions, calls (open ones on top, ageing), errors; keys at the bottom

Everything that a server or a client said is text here: nothing of it is markup, or reaches the terminal as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import DataTable, Footer, Input, Static

from km_client.output import printable
from km_client.watching.live import Follower
from km_client.watching.top import columns
from km_client.watching.top.board import Board, Shown
from km_client.watching.top.details import Details

LOOK_SECONDS = 0.25  # what a person takes for at once
SHOWN_CALLS = 200
SHOWN_ERRORS = 50


class Table(DataTable[Text]):
    """Cells are text: a plain string would be read as markup."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Details"),
        Binding("tab", "app.focus_next", "Next pane"),
    ]


class Top(App[None]):
    """`follower` is asked for what is new in a thread of its own, so a slow disk never stops a key."""

    TITLE = "km-client top"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "top.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),  # as of any other program
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("p", "pause", "Pause"),
        Binding("escape", "clear", "All", show=True),
    ]

    def __init__(self, follower: Follower, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__()
        self.board = Board()
        self.is_paused = False
        self.words = ""
        self.session = ""
        self._follower = follower
        self._now = now
        self._is_looking = False
        self._room: dict[str, dict[str, int]] = {}

    def compose(self) -> ComposeResult:
        yield Static(id="summary", markup=False)
        yield Static(id="spark", markup=False)
        yield Input(
            placeholder="words of server, method, tool or session; Enter keeps them, Esc shows all", id="filter"
        )
        for name in columns.WIDTHS:
            yield Table(
                id=name,
                cursor_type="row",
                zebra_stripes=True,
                cell_padding=0,
                show_header=name != "errors",
                cursor_foreground_priority="renderable",
            )
        yield Footer(show_command_palette=False)

    async def on_mount(self) -> None:
        self._lay_out(self.size.width)
        self.query_one("#filter").display = False
        self.query_one("#calls").focus()
        self.set_interval(LOOK_SECONDS, self.look)
        await self.look()

    async def look(self) -> None:
        """Take what is new, and show it."""
        if self._is_looking:
            return
        self._is_looking = True
        try:
            events = await asyncio.to_thread(self._follower.poll)
        finally:
            self._is_looking = False
        self.board.take(events)
        self.board.set_live(self._follower.live)
        if not self.is_paused:
            self.draw()

    def draw(self) -> None:
        """Everything anew, with the cursors where they were."""
        if len(self.screen_stack) > 1:
            return  # the details of a call lie over it
        now, board = self._now(), self.board
        width = self.size.width
        summary = columns.summary(board, now, self._follower.problems, is_paused=self.is_paused, width=width)
        self.query_one("#summary", Static).update(summary)
        self.query_one("#spark", Static).update(columns.latency(board, width))
        room = self._room
        sessions = board.rows(self.words)
        self._fill("sessions", [(row.session_id, columns.session(row, now, room["sessions"])) for row in sessions])
        calls = board.calls(self.words, session=self.session)[:SHOWN_CALLS]
        self._fill("calls", [(str(each.number), self._call(each, now, room["calls"])) for each in calls])
        mistakes = board.errors(self.words)[:SHOWN_ERRORS]
        self._fill(
            "errors", [(str(number), columns.mistake(each, room["errors"])) for number, each in enumerate(mistakes)]
        )
        self._name_panes()

    def on_resize(self, event: Resize) -> None:
        self._lay_out(event.size.width)
        self.draw()

    def action_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.words = event.value
        self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.input.display = bool(event.value)
        self.query_one("#calls").focus()

    def action_pause(self) -> None:
        self.is_paused = not self.is_paused
        self.draw()

    def action_clear(self) -> None:
        """Show all again."""
        box = self.query_one("#filter", Input)
        box.value, self.words, self.session = "", "", ""
        box.display = False
        self.query_one("#calls").focus()
        self.draw()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a session shows its calls only, on a call its details."""
        chosen = event.row_key.value or ""
        if event.data_table.id == "sessions":
            self.session = "" if self.session == chosen else chosen
            self.draw()
        elif event.data_table.id == "calls" and (shown := self._shown(chosen)):
            self.push_screen(Details(shown, self._now()))

    def _lay_out(self, width: int) -> None:
        """The columns, by the width of the terminal."""
        self._room = {name: columns.widths(name, width) for name in columns.WIDTHS}
        for name, room in self._room.items():
            table = self.query_one(f"#{name}", Table)
            table.clear(columns=True)
            for heading, cells in room.items():
                table.add_column(columns.heading(heading, cells), width=cells, key=heading)
            table.border_title = name

    def _call(self, shown: Shown, now: datetime, room: dict[str, int]) -> tuple[Text, ...]:
        return columns.call(shown, now, room, is_open=self.board.is_open(shown))

    def _shown(self, number: str) -> Shown | None:
        return next((shown for shown in self.board.calls() if str(shown.number) == number), None)

    def _name_panes(self) -> None:
        chosen = self.board.sessions.get(self.session)
        about = f" of {printable(chosen.server or chosen.session_id)}" if chosen else ""
        calls = self.query_one("#calls", Table)
        calls.border_title = Text(f"calls{about}" + (f" · {printable(self.words)}" if self.words else "")).markup
        self.query_one("#errors", Table).border_title = f"errors ({len(self.board.mistakes)})"

    def _fill(self, name: str, rows: list[tuple[str, tuple[Text, ...]]]) -> None:
        table = self.query_one(f"#{name}", Table)
        chosen = _chosen(table)
        scrolled = table.scroll_y
        table.clear()
        for key, cells in rows:
            table.add_row(*cells, key=key)
        place = next((number for number, (key, _) in enumerate(rows) if key == chosen), 0)
        table.move_cursor(row=place, scroll=False)
        table.scroll_to(y=scrolled, animate=False)


def _chosen(table: Table) -> str | None:
    """The key of the row under the cursor; none at the top, where the cursor stays with what is newest."""
    if table.cursor_row <= 0 or table.row_count == 0:
        return None
    return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
