"""The script that each shell loads, from the grammar. Pure text: nothing of km-client runs when somebody presses Tab.

    SHELLS["bash"](grammar()) → "_km_client() { …"

After `--`, and after `monitor` has its options, it is another program's command line, and the shell completes that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from km_client.completing.grammar import Command, Option

PROGRAMS = ("km-client", "km")
_FISH_OTHERS = "(__fish_complete_subcommand --fcs-skip=(math 1 + (contains -i -- -- (commandline -opc))))"


def bash(commands: Sequence[Command]) -> str:
    """For bash 4 and later; `bash-completion` makes what follows `--` better where it is there."""
    cases = "\n".join(
        f'    "{" ".join(each.words)}") words="{" ".join(_offered(each))}" ;;' for each in commands if _offered(each)
    )
    valued = "\n".join(
        f'    "{" ".join(each.words)} {flag}") {_bash_value(option)} ;;'
        for each in commands
        for option in each.options
        if option.takes
        for flag in option.flags
    )
    verbs = " ".join(each.words[0] for each in commands if len(each.words) == 1)
    return f"""# km-client for bash: `eval "$(km-client completion bash)"` in ~/.bashrc
_km_client() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} words="" command="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${{COMP_WORDS[i]}} == -- ]]; then
      if declare -F _command_offset >/dev/null; then _command_offset $((i + 1)); return; fi
      if ((i + 1 == COMP_CWORD)); then COMPREPLY=($(compgen -c -- "$cur")); else COMPREPLY=($(compgen -f -- "$cur")); fi
      return
    fi
  done
  if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W "{verbs} --help --version" -- "$cur")); return; fi
  command=${{COMP_WORDS[1]}}
  case "$command ${{COMP_WORDS[2]}}" in
    {_bash_pairs(commands)}) if ((COMP_CWORD > 2)); then command="$command ${{COMP_WORDS[2]}}"; fi ;;
  esac
  case "$command $prev" in
{valued}
  esac
  case "$command" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  case "$command" in
    {_bash_alternatives(each for each in commands if each.files)}) COMPREPLY+=($(compgen -f -- "$cur")) ;;
  esac
}}
complete -o filenames -F _km_client {" ".join(PROGRAMS)}
"""


def zsh(commands: Sequence[Command]) -> str:
    """For zsh with `compinit`; it may also be a file `_km-client` in `$fpath`."""
    verbs = "\n".join(f"    {_zsh_pair(each.words[0], each.purpose)}" for each in commands if len(each.words) == 1)
    cases = "\n".join(f'    "{" ".join(each.words)}") {_zsh_arguments(each, commands)} ;;' for each in commands)
    return f"""#compdef {" ".join(PROGRAMS)}
# km-client for zsh: `source <(km-client completion zsh)` in ~/.zshrc, after compinit
_km_client() {{
  local -a verbs=(
{verbs}
  )
  if ((CURRENT == 2)); then _describe -t verbs verb verbs; return; fi
  local command=$words[2]
  case "$words[2] $words[3]" in
    {_bash_pairs(commands)}) if ((CURRENT > 3)); then command="$words[2] $words[3]"; shift words; ((CURRENT--)); fi ;;
  esac
  shift words; ((CURRENT--))
  case $command in
{cases}
  esac
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _km_client "$@"; else compdef _km_client {" ".join(PROGRAMS)}; fi
"""


def fish(commands: Sequence[Command]) -> str:
    """For fish 3 and later."""
    lines = ["# km-client for fish: `km-client completion fish | source` in ~/.config/fish/config.fish"]
    lines += [
        "function __km_client_at",
        "    set -l words (commandline -opc)[2..]",
        "    set -l wanted (string split ' ' -- $argv[1])",
        "    contains -- -- $words; and return 1",
        '    test "$words[1..(count $wanted)]" = "$argv[1]"; or return 1',
        "    test (count $argv) -eq 1; or test (count $words) -eq (count $wanted)",
        "end",
    ]
    for program in PROGRAMS:
        lines += [f"complete -c {program} -f -n 'not contains -- -- (commandline -opc)'"]
        lines += [f"complete -c {program} -n 'contains -- -- (commandline -opc)' -a '{_FISH_OTHERS}'"]
        for each in commands:
            lines += _fish_lines(program, each)
    return "\n".join(lines) + "\n"


def powershell(commands: Sequence[Command]) -> str:
    """For PowerShell 5.1 and later."""
    table = "\n".join(
        f"    '{' '.join(each.words)}' = @({', '.join(_ps(word) for word in _offered(each))})" for each in commands
    )
    verbs = ", ".join(_ps(each.words[0]) for each in commands if len(each.words) == 1)
    names = ", ".join(_ps(name) for name in PROGRAMS)
    return f"""# For $PROFILE: km-client completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName {names} -ScriptBlock {{
  param($word, $ast, $position)
  $offered = @{{
{table}
  }}
  $before = @($ast.CommandElements | Where-Object {{ $_.Extent.EndOffset -lt $position }} | ForEach-Object {{ "$_" }})
  if ($before -contains '--') {{ return }}
  $verbs = @({verbs})
  $found = $verbs
  if ($before.Count -gt 2 -and $offered.ContainsKey("$($before[1]) $($before[2])")) {{
    $found = $offered["$($before[1]) $($before[2])"]
  }} elseif ($before.Count -gt 1 -and $offered.ContainsKey($before[1])) {{ $found = $offered[$before[1]] }}
  $found | Where-Object {{ $_ -like "$word*" }} | ForEach-Object {{
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }}
}}
"""


SHELLS: Mapping[str, Callable[[Sequence[Command]], str]] = {
    "bash": bash,
    "zsh": zsh,
    "fish": fish,
    "powershell": powershell,
}


def _offered(command: Command) -> list[str]:
    return [*command.choices, *(flag for option in command.options for flag in option.flags)]


def _bash_value(option: Option) -> str:
    if option.takes == "choice":
        return f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$cur")); return'
    return 'COMPREPLY=($(compgen -f -- "$cur")); return' if option.takes == "file" else "return"


def _bash_pairs(commands: Sequence[Command]) -> str:
    return _bash_alternatives(each for each in commands if len(each.words) == 2)


def _bash_alternatives(commands: Iterator[Command]) -> str:
    return "|".join(f'"{" ".join(each.words)}"' for each in commands) or '""'


def _zsh_pair(word: str, purpose: str) -> str:
    return _quoted(f"{word}:{purpose.replace(':', chr(92) + ':')}")


def _zsh_arguments(command: Command, commands: Sequence[Command]) -> str:
    below = [each for each in commands if each.words[:-1] == command.words]
    given = [_zsh_option(flag, option) for option in command.options for flag in option.flags]
    if below:
        names = " ".join(_zsh_pair(each.words[-1], each.purpose) for each in below)
        given.append(_quoted(f"1:action:(({names.replace(chr(39), chr(34))}))"))
    elif command.choices:
        given.append(_quoted(f"*:word:({' '.join(command.choices)})"))
    elif command.runs:
        given.append(_quoted("*::server:_normal"))
    elif command.files:
        given.append(_quoted("*:file:_files"))
    return f"_arguments {' '.join(given)}" if given else "_message 'nothing more'"


def _zsh_option(flag: str, option: Option) -> str:
    purpose = option.purpose.translate({ord(each): f"\\{each}" for each in "[]:"})
    value = {"": "", "file": ":file:_files", "word": ":value:", "choice": f":value:({' '.join(option.choices)})"}
    return _quoted(f"{flag}[{purpose}]{value[option.takes]}")


def _fish_lines(program: str, command: Command) -> Iterator[str]:
    where, last = " ".join(command.words), command.words[-1]
    above = " ".join(command.words[:-1])
    condition = f'__km_client_at "{above}" here' if above else "test (count (commandline -opc)) -eq 1"
    yield f"complete -c {program} -n {_quoted(condition)} -a {last} -d {_quoted(command.purpose)}"
    at = _quoted(f'__km_client_at "{where}"')
    if command.files:
        yield f"complete -c {program} -n {at} -F"
    for choice in command.choices:
        yield f"complete -c {program} -n {at} -a {_quoted(choice)}"
    for option in command.options:
        names = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
        value = {"": "", "word": " -x", "file": " -r -F", "choice": f" -x -a {_quoted(' '.join(option.choices))}"}
        yield f"complete -c {program} -n {at} {names} -d {_quoted(option.purpose)}{value[option.takes]}"


def _quoted(text: str) -> str:
    """In single quotes, for sh-like shells and fish alike."""
    return "'" + text.replace("'", "'\\''") + "'"


def _ps(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
