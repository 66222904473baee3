"""The script for fish 3 and later."""

from __future__ import annotations

from collections.abc import Iterator

from km_client.completing.grammar import PROGRAMS, Command, Option
from km_client.completing.zsh import quoted

_HEAD = """\
# km-client for fish: `km-client completion fish | source` in ~/.config/fish/config.fish
function __km_client_at --argument-names command
    set -l words (commandline -opc)[2..]
    set -l wanted (string split ' ' -- $command)
    contains -- -- $words; and return 1
    set -l first $words[1..(count $wanted)]
    test "$first" = "$command"; or return 1
    test (count $argv) -eq 1; or test (count $words) -eq (count $wanted)
end
function __km_client_sessions
    set -l words (commandline -opc)
    $words[1] sessions ids 2>/dev/null
end
function __km_client_others
    set -l words (commandline -opc) (commandline -ct)
    set -l others $words[(math 1 + (contains -i -- -- $words))..]
    complete -C "$others"
end
"""


def script(commands: list[Command]) -> str:
    lines = []
    for program in PROGRAMS:
        lines += [f"complete -c {program} -f -n 'not contains -- -- (commandline -opc)'"]
        lines += [f"complete -c {program} -f -n 'contains -- -- (commandline -opc)' -a '(__km_client_others)'"]
        lines += [f"complete -c {program} -n 'test (count (commandline -opc)) -eq 1' -l version -d 'its version'"]
        for each in commands:
            lines += _lines(program, each)
    return _HEAD + "\n".join(lines) + "\n"


def _lines(program: str, command: Command) -> Iterator[str]:
    above, last = " ".join(command.words[:-1]), command.words[-1]
    condition = f'__km_client_at "{above}" here' if above else "test (count (commandline -opc)) -eq 1"
    yield f"complete -c {program} -n {quoted(condition)} -a {last} -d {quoted(command.purpose)}"
    at = quoted(f'__km_client_at "{" ".join(command.words)}"' + (" here" if command.below else ""))
    if command.sessions:
        yield f"complete -c {program} -n {at} -k -a '(__km_client_sessions)'"
    if command.files:
        yield f"complete -c {program} -n {at} -F"
    if command.choices:
        yield f"complete -c {program} -n {at} -a {quoted(' '.join(command.choices))}"
    for option in command.options:
        yield f"complete -c {program} -n {at} {_option(option)}"


def _option(option: Option) -> str:
    names = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    value = {"": "", "word": " -x", "file": " -r -F", "session": " -x -k -a '(__km_client_sessions)'"}
    value["choice"] = f" -x -a {quoted(' '.join(option.choices))}"
    return f"{names} -d {quoted(option.purpose)}{value[option.takes]}"
