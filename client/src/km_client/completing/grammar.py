"""The commands as data: what may follow each, read off the parsers that run them, so that nothing is said twice.

    grammar() → [Command(("status",), "what is recorded …", …, [Option(("--json",), "answer in JSON")]), …]

`argparse` has no public way to list a parser's actions; `_actions` has been what every generator of completions reads
since Python 2.7, and a test would notice if it went.
"""

from __future__ import annotations

import argparse
import importlib
import re
from argparse import REMAINDER, Action, ArgumentParser
from collections.abc import Mapping
from typing import NamedTuple

from km_client.cli import VERBS
from km_client.settings import SETTINGS
from km_client.wrapping.clients import CLIENTS

PROGRAMS = ("km-client", "km")
_FILES = {"FILE", "PATH", "DIR", "DIRECTORY"}
"""Words in the metavars of arguments that are files."""
_CLIENTS = tuple(client.id for client in CLIENTS)
_KNOWN = {
    ("wrap", "clients"): _CLIENTS,
    ("unwrap", "clients"): _CLIENTS,
    ("config", "name"): tuple(SETTINGS),
}
"""What some arguments may be, whose parsers say it in better words than argparse would: by verb and argument."""
_SESSIONS = {("sessions", "session"), ("logs", "session"), ("replay", "source")}
"""Arguments and options that are the id of a recorded session: by verb and argument."""


class Option(NamedTuple):
    """`takes` is what follows it: nothing, `file`, `session`, `word`, or one of `choices` (`choice`)."""

    flags: tuple[str, ...]
    purpose: str
    takes: str = ""
    choices: tuple[str, ...] = ()
    repeats: bool = False
    metavar: str = ""


class Argument(NamedTuple):
    """What a command line has without a flag; `shown` as its usage shows it, like `[CLIENT ...]`."""

    shown: str
    purpose: str


class Command(NamedTuple):
    """`words` after the program's name; `below` the words of its own commands; `choices` of its arguments.

    `files` says that its arguments are files, `sessions` that they are the ids of recorded sessions, `runs` that they
    are another program's command line, after `--`. `about` is all that its help says before the options.
    """

    words: tuple[str, ...]
    purpose: str
    about: str = ""
    options: tuple[Option, ...] = ()
    arguments: tuple[Argument, ...] = ()
    below: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    files: bool = False
    sessions: bool = False
    runs: bool = False

    def offered(self) -> list[str]:
        """Every word that may come next, but files and the values of options."""
        return [*self.below, *self.choices, *(flag for option in self.options for flag in option.flags)]


def grammar() -> list[Command]:
    """Every command, each before those below it, in the order of the help."""
    commands: list[Command] = []
    for verb, purpose in VERBS.items():
        module = importlib.import_module(f"km_client.commands.{verb}")
        parser = ArgumentParser(prog=f"km-client {verb}", description=module.__doc__)
        module.add_arguments(parser)
        _collect((verb,), purpose, parser, commands)
    return commands


def verbs(commands: list[Command]) -> list[Command]:
    """Those that stand right after the program's name."""
    return [each for each in commands if len(each.words) == 1]


def filled(template: str, parts: Mapping[str, str]) -> str:
    """`template` with each `@NAME@` replaced by the part of that name."""
    for name, part in parts.items():
        template = template.replace(f"@{name}@", part)
    return template


def _collect(words: tuple[str, ...], purpose: str, parser: ArgumentParser, found: list[Command]) -> None:
    below: dict[str, tuple[str, ArgumentParser]] = {}
    options, arguments = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            # One without a word of help is for the scripts of shells, not for people.
            below |= {name: (helps[name], each) for name, each in action.choices.items() if name in helps}
        elif action.option_strings:
            options.append(_option(words[0], action))
        else:
            arguments.append(action)
    found.append(
        Command(
            words,
            purpose,
            (parser.description or "").strip(),
            tuple(options),
            tuple(Argument(_shown(parser, each), _words(each.help)) for each in arguments),
            tuple(below),
            tuple(word for each in arguments for word in (each.choices or _KNOWN.get((words[0], each.dest), ()))),
            files=any(_is_file(each) for each in arguments),
            sessions=any((words[0], each.dest) in _SESSIONS for each in arguments),
            runs=any(each.nargs == REMAINDER for each in arguments),
        )
    )
    for name, (said, each) in below.items():
        _collect((*words, name), said, each, found)


def _shown(parser: ArgumentParser, action: Action) -> str:
    formatter = parser._get_formatter()
    return formatter._format_args(action, formatter._get_default_metavar_for_positional(action))


def _option(verb: str, action: Action) -> Option:
    choices = tuple(str(each) for each in action.choices or ())
    takes = "" if action.nargs == 0 else "choice" if choices else "file" if _is_file(action) else "word"
    takes = "session" if (verb, action.dest) in _SESSIONS else takes
    metavar = str(action.metavar or "|".join(choices) or action.dest.upper()) if takes else ""
    repeats = isinstance(action, argparse._AppendAction)
    return Option(tuple(action.option_strings), _words(action.help), takes, choices, repeats, metavar)


def _words(text: str | None) -> str:
    return " ".join((text or "").replace("%%", "%").split())


def _is_file(action: Action) -> bool:
    return not _FILES.isdisjoint(re.split("[^A-Z]+", str(action.metavar or action.dest.upper())))
