"""Why a check did not come to a result. Neither is about the submission: both are for the operator."""

from __future__ import annotations


class ToolMissingError(Exception):
    """The program is not installed: the check is `not_run`."""


class ToolFailedError(Exception):
    """It crashed, took too long or said too much: the check is an `error`, to be tried again."""
