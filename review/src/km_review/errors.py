"""The one error a verb may raise; only the boundary in `cli.py` prints it and exits."""

from __future__ import annotations


class ReviewError(Exception):
    """What was wrong with which thing, and the next step. `code` is stable."""

    def __init__(self, code: str, message: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
