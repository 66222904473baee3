"""What an API key may be used for. A key is given scopes when it is issued; they never widen."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import TextChoices


class Scope(TextChoices):
    """One permission."""

    EVENTS_WRITE = "events:write", "send events"
    EVENTS_READ = "events:read", "read events and statistics"
    KEYS_MANAGE = "keys:manage", "list, issue, rotate and revoke API keys"
    PLUGINS_SUBMIT = "plugins:submit", "submit plugins and follow them"


DEFAULT_SCOPES = (Scope.EVENTS_WRITE, Scope.EVENTS_READ)
"""What a laptop's key gets: a leaked one cannot issue others, nor submit code."""


def ordered(scopes: Iterable[str]) -> list[str]:
    """`scopes` without repeats, in the order of `Scope`. Raises `ValueError` on one that does not exist."""
    wanted = {Scope(scope) for scope in scopes}
    return [scope.value for scope in Scope if scope in wanted]
