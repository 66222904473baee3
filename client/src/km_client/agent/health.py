"""How the delivery to one server stands, for a person who asks. Written by its thread, read by the agent's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

State = Literal["idle", "delivering", "waiting", "paused"]


class Health(msgspec.Struct):
    """`waiting` tries again by itself at `retry_at`; `paused` needs a person, whom `reason` tells why."""

    url: str
    key: str
    state: State = "idle"
    reason: str = ""
    retry_at: datetime | None = None
    last_error_at: datetime | None = None
    last_delivered_at: datetime | None = None
    shipped: int = 0
    duplicates: int = 0
    refused: int = 0
    last_refusal: str = ""

    def delivered(self, events: int, duplicates: int, *, at: datetime) -> None:
        self.state, self.reason, self.retry_at = "delivering", "", None
        self.shipped += events
        self.duplicates += duplicates
        self.last_delivered_at = at

    def waits(self, reason: str, seconds: float, *, at: datetime) -> None:
        self.state, self.reason, self.retry_at = "waiting", reason, at + timedelta(seconds=seconds)
        self.last_error_at = at

    def pauses(self, reason: str, *, at: datetime) -> None:
        self.state, self.reason, self.retry_at = "paused", reason, None
        self.last_error_at = at

    def refuses(self, events: int, why: str) -> None:
        self.refused += events
        self.last_refusal = why
