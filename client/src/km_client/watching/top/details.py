"""One call over the whole screen: what was asked and what was answered, as far as the board kept it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from km_client.output import printable, size
from km_client.watching.top.board import KEPT_BYTES, Shown
from km_client.watching.top.columns import taken


class Details(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Back"),
        Binding("q", "dismiss", "Back", show=False),
        Binding("enter", "dismiss", "Back", show=False),
    ]

    def __init__(self, shown: Shown, now: datetime) -> None:
        super().__init__()
        self._shown = shown
        self._now = now

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="details") as box:
            box.border_title = Text(printable(self._shown.call.name)).markup
            yield Static(self._text(), markup=False)
        yield Footer(show_command_palette=False)

    def _text(self) -> Text:
        shown, call = self._shown, self._shown.call
        facts = [
            ("session", printable(call.first.session_id or "")),
            ("server", printable(shown.server)),
            ("asked by", "the client" if call.from_client else "the server"),
            ("began", f"{call.began.astimezone():%H:%M:%S.%f}"),
            ("status", shown.status),
            ("took", taken(shown.milliseconds(self._now))),
            ("notices", str(call.notices)),
        ]
        text = Text()
        for name, value in facts:
            text.append(f"{name:9} ", "bold").append(f"{value}\n")
        for name, event, kept in (
            ("request", call.request, shown.asked),
            ("answer", call.answer, shown.answered),
        ):
            whole = event.size or 0 if event else 0
            text.append(f"\n{name}", "bold underline").append(f"  {size(whole) if event else 'none'}\n")
            text.append(_pretty(kept))
            if event and whole > len(kept):
                text.append(f"\n… only the first {size(min(KEPT_BYTES, len(kept)))} are kept here", "dim")
            text.append("\n")
        return text


def _pretty(message: bytes) -> str:
    try:
        written = json.dumps(json.loads(message), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        written = message.decode(errors="replace")
    return "\n".join(map(printable, written.split("\n")))
