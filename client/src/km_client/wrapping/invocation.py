"""The command line of a wrapped server: how it is written, and how one is read that stands in a configuration.

    /home/ada/.local/bin/km-client monitor --server-name files -- npx -y @modelcontextprotocol/server-filesystem /notes
    /home/ada/.local/bin/km-client monitor --server-name search --url https://… --header 'Authorization: Bearer …'

Ones that other versions or people wrote are recognised too: with a program that is no absolute path, behind `uvx`,
without a name, with options this version does not know. What a person added (`--local-only`, `--plugin …`) stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import NamedTuple

from km_client.wrapping.dialect import Transport

PROGRAMS = {"km-client", "km"}
LAUNCHERS = {"uvx", "uv", "pipx", "cmd"}  # `cmd /c km-client …` is how many start a program on Windows
# Whether an option of `monitor` takes a value. One that is not here is read as one that takes none.
TAKES_VALUE = {
    **dict.fromkeys(("--local-only", "--debug"), False),
    **dict.fromkeys(("--server-name", "--session-id", "--plugin", "--api-key", "--api-url", "--debug-replay"), True),
    **dict.fromkeys(("--url", "--header", "--transport", "--listen"), True),
}
FORMER = {"--server": False, "--output-format": True, "--batch-size": True}  # of programs before this one


class Invocation(NamedTuple):
    """A wrapped server's words. `server_at` is where the server's own begin; it has none when it has a URL."""

    words: Sequence[str]
    monitor_at: int
    options: Sequence[tuple[str, str | None]]
    server_at: int

    @property
    def server(self) -> list[str]:
        return list(self.words[self.server_at :])

    @property
    def url(self) -> str | None:
        return self.value("--url")

    @property
    def headers(self) -> dict[str, str]:
        pairs = [(value or "").partition(":") for option, value in self.options if option == "--header"]
        return {name.strip(): value.strip() for name, _, value in pairs}

    @property
    def transport(self) -> Transport:
        said = self.value("--transport")
        return "sse" if said == "sse" else "http" if said == "http" else ""

    def value(self, wanted: str) -> str | None:
        """What the last option of this name says."""
        return next((value for option, value in reversed(self.options) if option == wanted), None)


def read(words: Sequence[str]) -> Invocation | None:
    """What these words say, if they start a monitor."""
    at = _monitor_at(words)
    if at is None:
        return None
    options: list[tuple[str, str | None]] = []
    place = at + 1
    while place < len(words) and words[place].startswith("-"):
        if words[place] == "--":
            return Invocation(words, at, options, place + 1)
        option, equals, value = words[place].partition("=")
        takes = {**TAKES_VALUE, **FORMER}.get(option, False) and not equals and place + 1 < len(words)
        options.append((option, words[place + 1] if takes else value if equals else None))
        place += 2 if takes else 1
    return Invocation(words, at, options, place)


def _monitor_at(words: Sequence[str]) -> int | None:
    """The place of `monitor`, if it follows our program, which may stand behind a launcher."""
    reach = 5 if words and _plain(words[0]) in LAUNCHERS else 1
    for place in range(1, min(len(words), reach + 1)):
        if words[place] == "monitor" and _plain(words[place - 1]).partition("@")[0] in PROGRAMS:
            return place
    return None


def _plain(program: str) -> str:
    return program.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")


def outdated(found: Invocation, is_there: Callable[[str], bool] = os.path.isfile) -> str:
    """Why a wrapped server should be wrapped anew; nothing if it need not."""
    program = found.words[0]
    if found.monitor_at != 1 or not _is_absolute(program):
        return f"`{program}` is not the absolute path of km-client"
    if not is_there(program):
        return f"{program} is not there: this server cannot start"
    former = [option for option, _ in found.options if option in FORMER]
    if former:
        return f"`{former[0]}` is no option of this version"
    return "" if found.value("--server-name") is not None else "it does not say the server's name"


def _is_absolute(program: str) -> bool:
    return PurePosixPath(program).is_absolute() or PureWindowsPath(program).is_absolute()


def write(program: str, name: str) -> list[str]:
    """What goes before the words of a server."""
    return [program, "monitor", *_option("--server-name", name), "--"]


def write_remote(program: str, name: str, url: str, transport: Transport, headers: Mapping[str, str]) -> list[str]:
    """All words of a bridge to a remote server."""
    said = ["--transport", transport] if transport else []
    sent = [word for key, value in headers.items() for word in _option("--header", f"{key}: {value}")]
    return [program, "monitor", *_option("--server-name", name), "--url", url, *said, *sent]


def renew(found: Invocation, program: str, name: str) -> list[str]:
    """What goes before the server's words, in this version's manner; of a bridge, all of them."""
    kept = [
        word
        for option, value in found.options
        if option not in FORMER
        for word in ([option] if value is None else _option(option, value))
    ]
    named = [] if found.value("--server-name") is not None else _option("--server-name", name)
    return [program, "monitor", *named, *kept, *([] if found.url else ["--"])]


def _option(option: str, value: str) -> list[str]:
    """One word where the value would be read as another option."""
    return [f"{option}={value}"] if value.startswith("-") else [option, value]
