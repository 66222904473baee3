"""The script for zsh with `compinit`; it may be sourced, or be a file `_km-client` in `$fpath`."""

from __future__ import annotations

from km_client.completing.grammar import PROGRAMS, Command, Option, verbs


def script(commands: list[Command]) -> str:
    names = " ".join(PROGRAMS)
    offered = "\n".join(f"    {_pair(each)}" for each in verbs(commands))
    pairs = "|".join(f'"{" ".join(each.words)}"' for each in commands if len(each.words) == 2)
    cases = "\n".join(f'    "{" ".join(each.words)}") {_arguments(each, commands)} ;;' for each in commands)
    return f"""#compdef {names}
# km-client for zsh: `source <(km-client completion zsh)` in ~/.zshrc, after compinit
_km_client_sessions() {{
  local -a ids=(${{(f)"$($program sessions ids 2>/dev/null)"}})
  compadd -V sessions -a ids
}}
_km_client() {{
  local -a verbs below
  local -i at=${{words[(ie)--]}}
  if ((at < CURRENT)); then words=("${{(@)words[at + 1,-1]}}"); ((CURRENT -= at)); _normal; return; fi
  verbs=(
{offered}
  )
  if ((CURRENT == 2)); then _describe -t verbs verb verbs; return; fi
  local program=$words[1] command=$words[2] curcontext=$curcontext
  case "$words[2] $words[3]" in
    {pairs}) if ((CURRENT > 3)); then command="$words[2] $words[3]"; shift words; ((CURRENT--)); fi ;;
  esac
  shift words; ((CURRENT--))
  case $command in
{cases}
  esac
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _km_client "$@"; else compdef _km_client {names}; fi
"""


def quoted(text: str) -> str:
    """In single quotes, for sh-like shells and fish alike."""
    return "'" + text.replace("'", "'\\''") + "'"


def _pair(command: Command) -> str:
    return quoted(f"{command.words[-1]}:{command.purpose.replace(':', chr(92) + ':')}")


def _arguments(command: Command, commands: list[Command]) -> str:
    given = [_option(flag, option) for option in command.options for flag in option.flags]
    if command.below:
        names = " ".join(_pair(each) for each in commands if each.words[:-1] == command.words)
        return f"below=({names}); _describe -t actions action below -- || _arguments {' '.join(given)}"
    if command.choices:
        given.append(quoted(f"*:word:({' '.join(command.choices)})"))
    elif command.sessions:
        given.append(
            quoted("*:session:" + ("{_km_client_sessions; _files}" if command.files else "_km_client_sessions"))
        )
    elif command.files:
        given.append(quoted("*:file:_files"))
    return f"_arguments {' '.join(given)}"


def _option(flag: str, option: Option) -> str:
    purpose = option.purpose.translate({ord(each): f"\\{each}" for each in "[]:"})
    value = {"": "", "file": ":file:_files", "word": ":value:", "session": ":session:_km_client_sessions"}
    value["choice"] = f":value:({' '.join(option.choices)})"
    before = "*" if option.repeats else f"({' '.join(option.flags)})"
    joined = "=" if option.takes and flag.startswith("--") else ""  # `--flag value` and `--flag=value`
    return quoted(f"{before}{flag}{joined}[{purpose}]{value[option.takes]}")
