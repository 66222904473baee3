"""What is to be started at sign-in, whatever the system.

    Job(("/home/ada/.local/bin/km-client", "agent", "run"), {"KM_DATA_DIR": "/srv/km"})

No secret is part of it: the agent reads the key where `km-client login` keeps it. Of this shell's variables only those
travel that move the user's directories, because a session manager knows none of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from km_client.errors import ClientError
from km_client.wrapping import program

MARK = "Made by `km-client service install`; `km-client service uninstall` removes it."
"""In each file: how a later run knows that it may replace or remove it."""
_MOVING = ("KM_CONFIG_DIR", "KM_DATA_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME")


class Job(NamedTuple):
    command: tuple[str, ...]
    environment: dict[str, str]


class Manager(NamedTuple):
    """One system's way. `begin` and `end` are the commands that make it heed `file`, or forget it, in their order.

    `renew` come before `begin` where the file was there already; it does not matter what they answer.
    """

    name: str
    file: Path
    text: str
    begin: tuple[tuple[str, ...], ...]
    end: tuple[tuple[str, ...], ...]
    link: Path | None = None
    """What `begin` makes beside the file, where a person's session manager is not there to take it away again."""
    renew: tuple[tuple[str, ...], ...] = ()


def current(environment: Mapping[str, str] = os.environ, *, must_last: bool = True) -> Job:
    """The installed km-client's agent. Raises `ClientError` where that must last, but is in a cache that is cleaned."""
    found = program.find(environment=environment)
    if found.is_temporary and must_last:
        raise ClientError(
            "temporary_program",
            f"{found.path} is in a cache: once that is cleaned, nothing would start",
            "install it, as by `uv tool install km-client` or `pipx install km-client`, and run this again",
        )
    moved = {name: value for name in _MOVING if (value := environment.get(name, "")) and Path(value).is_absolute()}
    return Job((found.path, "agent", "run"), moved)
