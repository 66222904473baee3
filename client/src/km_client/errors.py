"""The one error a command may raise: what was wrong with which thing, and the next step.

    raise ClientError("no_api_key", "no API key is set", "run `km-client init`, or set KM_API_KEY")

prints, at the one boundary in `cli.py` and nowhere else:

    error: no API key is set
      hint: run `km-client init`, or set KM_API_KEY

`code` is stable and may be matched by programs (`--json` output shows it); `exit_code` is what the command exits with.
"""

from __future__ import annotations


class ClientError(Exception):
    """A failure a person can act on. Anything else that escapes a command is a bug and keeps its traceback."""

    def __init__(self, code: str, message: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
