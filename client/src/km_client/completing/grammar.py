"""The commands as data: what may follow each, read off the parsers that run them, so that nothing is said twice.

    grammar() → [Command(("status",), "what is recorded …", [Option(("--json",), "answer in JSON")], …), …]

`argparse` has no public way to list a parser's actions; `_actions` has been what every generator of completions reads
since Python 2.7, and a test would notice if it went.
"""

from __future__ import annotations

import argparse
import importlib
from argparse import REMAINDER, Action, ArgumentParser
from typing import NamedTuple

from km_client.cli import VERBS

FILES = {"FILE", "PATH", "DIR", "DIRECTORY"}
"""Metavars of arguments that are files."""


class Option(NamedTuple):
    """`takes` is what follows it: nothing, `file`, `word`, or one of `choices`."""

    flags: tuple[str, ...]
    purpose: str
    takes: str = ""
    choices: tuple[str, ...] = ()


class Command(NamedTuple):
    """`words` after the program's name; `choices` of its arguments; `runs` another program's command line."""

    words: tuple[str, ...]
    purpose: str
    options: tuple[Option, ...] = ()
    choices: tuple[str, ...] = ()
    files: bool = False
    runs: bool = False


def grammar() -> list[Command]:
    """Every command and sub-command, in the order of the help."""
    commands: list[Command] = []
    for verb, purpose in VERBS.items():
        module = importlib.import_module(f"km_client.commands.{verb}")
        parser = ArgumentParser(prog=f"km-client {verb}", add_help=True)
        module.add_arguments(parser)
        _collect((verb,), purpose, parser, commands)
    return commands


def _collect(words: tuple[str, ...], purpose: str, parser: ArgumentParser, found: list[Command]) -> None:
    options, choices, files, runs = [], [], False, False
    below: list[tuple[str, str, ArgumentParser]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            below += [(name, helps.get(name, ""), each) for name, each in action.choices.items()]
        elif action.option_strings:
            options.append(_option(action))
        else:
            choices += [str(each) for each in action.choices or ()]
            runs = runs or action.nargs == REMAINDER
            files = files or _is_file(action)
    choices += [name for name, _, _ in below]
    found.append(Command(words, purpose, tuple(options), tuple(choices), files, runs))
    for name, said, each in below:
        _collect((*words, name), said, each, found)


def _option(action: Action) -> Option:
    purpose = " ".join((action.help or "").replace("%%", "%").split())
    choices = tuple(str(each) for each in action.choices or ())
    takes = "" if action.nargs == 0 else "choice" if choices else "file" if _is_file(action) else "word"
    return Option(tuple(action.option_strings), purpose, takes, choices)


def _is_file(action: Action) -> bool:
    metavar = action.metavar or action.dest.upper()
    names = metavar if isinstance(metavar, tuple) else (metavar,)
    return any(word in FILES for name in names for word in name.replace("-", "_").split("_"))
