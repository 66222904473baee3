"""The script for bash 3.2, as on macOS, and later. Where `bash-completion` is, that completes what follows `--`."""

from __future__ import annotations

from collections.abc import Iterable

from km_client.completing.grammar import PROGRAMS, Command, Option, filled, verbs

# `-o filenames` for files alone: with it, a verb would get a `/` where a directory happens to have its name.
_TEMPLATE = """\
# km-client for bash: `eval "$(km-client completion bash)"` in ~/.bashrc
_km_client_files() {
  local IFS=$'\\n'
  COMPREPLY+=($(compgen -f -- "$1"))
  compopt -o filenames 2>/dev/null || true
}
_km_client_sessions() {
  COMPREPLY+=($(compgen -W "$("${COMP_WORDS[0]}" sessions ids 2>/dev/null)" -- "$1"))
}
_km_client() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words="" command="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == -- ]]; then
      if declare -F _command_offset >/dev/null; then _command_offset $((i + 1)); return; fi
      if ((i + 1 == COMP_CWORD)); then COMPREPLY=($(compgen -c -- "$cur")); else _km_client_files "$cur"; fi
      return
    fi
  done
  if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W "@VERBS@ --help --version" -- "$cur")); return; fi
  if [[ $cur == = ]]; then cur=""; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
  command=${COMP_WORDS[1]}
  case "$command ${COMP_WORDS[2]}" in
    @PAIRS@) if ((COMP_CWORD > 2)); then command="$command ${COMP_WORDS[2]}"; fi ;;
  esac
  case "$command $prev" in
@VALUES@
  esac
  case "$command" in
@WORDS@
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  case "$command" in
    @SESSIONS@) if [[ $cur != -* ]]; then _km_client_sessions "$cur"; fi ;;
  esac
  case "$command" in
    @FILES@) _km_client_files "$cur" ;;
  esac
}
complete -F _km_client @PROGRAMS@
"""


def script(commands: list[Command]) -> str:
    parts = {
        "VERBS": " ".join(each.words[0] for each in verbs(commands)),
        "PAIRS": _alternatives(each for each in commands if len(each.words) == 2),
        "VALUES": "\n".join(_values(commands)),
        "WORDS": "\n".join(f'    "{" ".join(each.words)}") words="{" ".join(each.offered())}" ;;' for each in commands),
        "SESSIONS": _alternatives(each for each in commands if each.sessions),
        "FILES": _alternatives(each for each in commands if each.files),
        "PROGRAMS": " ".join(PROGRAMS),
    }
    return filled(_TEMPLATE, parts)


def _values(commands: Iterable[Command]) -> Iterable[str]:
    for each in commands:
        for option in each.options:
            if option.takes:
                flags = "|".join(f'"{" ".join(each.words)} {flag}"' for flag in option.flags)
                yield f"    {flags}) {_value(option)} ;;"


def _value(option: Option) -> str:
    if option.takes == "choice":
        return f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$cur")); return'
    named = {"file": '_km_client_files "$cur"; ', "session": '_km_client_sessions "$cur"; '}
    return f"{named.get(option.takes, '')}return"


def _alternatives(commands: Iterable[Command]) -> str:
    return "|".join(f'"{" ".join(each.words)}"' for each in commands)
