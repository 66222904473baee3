"""The man page, from the same grammar: `python -m km_client.completing.manual >client/man/km-client.1`.

    page(grammar()) → ".TH KM\\-CLIENT 1 …", in the macros of man(7), which groff and mandoc both know

The wheel brings it as `share/man/man1/km-client.1`; `km-client VERB --help` says the same in fewer words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby

from km_client import __version__
from km_client.completing.grammar import Command, Option, grammar

_ESCAPES = {"\\": "\\e", "-": "\\-", "`": "\\(ga", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}
_ABOUT = """\
km-client stands between an MCP client and an MCP server, forwards every byte untouched, and records each message. A
background process, the agent, ships the record to a Kilometers server; nothing is lost while that cannot be reached.
`km-client login` connects a machine, `km-client wrap` puts the monitor before the servers of the MCP clients it finds.

The program is also installed as `km`. Secrets are taken out of every message before it leaves the machine.
"""
VARIABLES = {
    "KM_API_KEY": "the key, in place of the one that is kept on this machine",
    "KM_API_URL": "the server's address, in place of the setting `api_url`",
    "KM_CONFIG_DIR": "where settings and the key are",
    "KM_DATA_DIR": "where recordings, the log, the agent's state and plugins are",
    "KM_LOG_LEVEL": "how much the agent writes to its log: debug, info, warning or error",
    "KM_DEBUG": "1 logs everything, whatever `log_level` says",
    "KM_SANDBOX": "how strictly plugins are confined, in place of the setting `sandbox`",
    "KM_AGENT": "`off` starts no agent: what is recorded waits",
    "KM_JOURNAL_CAP_BYTES": "how much may wait on the disk before the oldest goes (default: 1 GiB)",
    "KM_JOURNAL_SEGMENT_BYTES": "how large one file of a recording becomes",
    "NO_COLOR": "set to anything, nothing is coloured",
}
FILES = {
    "~/.config/kilometers/config.toml": "settings",
    "~/.config/kilometers/credentials.toml": "the key, for its owner's eyes only (0600)",
    "~/.local/share/kilometers/journal/": "what is recorded and not yet shipped",
    "~/.local/share/kilometers/log/": "what `km-client logs` shows",
    "~/.local/share/kilometers/agent/agent.log": "what the agent has to say",
}
_ELSEWHERE = """\
XDG_CONFIG_HOME and XDG_DATA_HOME are heeded. On macOS all of it is below ~/Library/Application Support/kilometers, on
Windows below %APPDATA%\\kilometers and %LOCALAPPDATA%\\kilometers.
"""
CODES = {
    "0": "it is done",
    "1": "a problem that a person can mend; standard error names it and the next step",
    "2": "wrong usage",
    "3": "`agent status`, `service status`: it does not run, it is not installed",
    "126, 127": "`monitor`: the server cannot be started, or is not found",
    "130": "interrupted by Ctrl-C",
    "other": "`monitor`: the server's own exit code; 128 + N where signal N ended it",
}


def page(commands: Iterable[Command]) -> str:
    lines = [f'.TH KM\\-CLIENT 1 "" "km\\-client {__version__}" "Kilometers"', ".nh", ".ad l"]
    lines += [".SH NAME", "km\\-client \\- watch what an MCP client and server say to each other"]
    lines += [".SH SYNOPSIS", ".B km\\-client", ".I VERB", "[OPTIONS]"]
    lines += [".SH DESCRIPTION", *_text(_ABOUT), ".SH COMMANDS"]
    for command in commands:
        lines += _command(command)
    lines += [".SH ENVIRONMENT", *_list(VARIABLES)]
    lines += [".SH FILES", *_list(FILES), ".PP", *_text(_ELSEWHERE), ".SH EXIT STATUS", *_list(CODES)]
    return "\n".join(lines) + "\n"


def _command(command: Command) -> Iterator[str]:
    usage = " ".join(["km-client", *command.words, *(argument.shown for argument in command.arguments)])
    yield f'.SS "{_plain(usage)}"'
    yield from _text(command.about or command.purpose)
    yield from _list({each.shown: each.purpose for each in command.arguments if each.purpose})
    yield from _list({_flags(each): each.purpose for each in command.options if "--help" not in each.flags})


def _flags(option: Option) -> str:
    names = ", ".join(option.flags)
    return f"{names} {option.metavar}" if option.metavar else names


def _list(entries: dict[str, str]) -> Iterator[str]:
    for term, purpose in entries.items():
        yield ".TP"
        yield f".B {_line(term)}"
        yield from _text(purpose or "See above.")


def _text(text: str) -> Iterator[str]:
    """Paragraphs; lines that are set in stay lines."""
    paragraphs = text.strip().split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        for is_set_in, lines in groupby(paragraph.splitlines(), lambda line: line.startswith("  ")):
            if is_set_in:
                yield from (".PP", ".nf", ".RS 2", *(_line(line.strip()) for line in lines), ".RE", ".fi")
            else:
                yield from (*([".PP"] if number else []), *(_line(line) for line in lines))


def _line(text: str) -> str:
    """A line of text that no macro begins: `.` and `'` at its head would be one."""
    return "\\&" + _plain(text) if text.startswith((".", "'")) else _plain(text)


def _plain(text: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in text)


if __name__ == "__main__":
    sys.stdout.write(page(grammar()))
