"""What can go wrong with a plugin: a stable `code`, which plugin and what about it, and the next step."""

from __future__ import annotations


class PluginError(Exception):
    """`str(error)` is the sentence, `hint` the next step. The stream is never harmed by one of these."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class RefusedError(PluginError):
    """Trying again would end the same way: the plugin is not started until somebody changes something."""


class CrashError(PluginError):
    """The plugin's process ended or stopped answering: it is started again, within its budget."""
