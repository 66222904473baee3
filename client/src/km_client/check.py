"""One finding of `km-client doctor`: what was looked at, how it stands, and what to do about it."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Check(NamedTuple):
    """`note` is worth knowing and no fault. `fix` is what to do about it."""

    name: str
    state: Literal["ok", "note", "problem"]
    words: str
    fix: str = ""
