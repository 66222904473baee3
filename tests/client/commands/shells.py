"""Real shells, asked what they would offer after a line, as if somebody pressed Tab there.

    with Bash(script, environment) as shell:
        shell.offers("km-client wr")        {"wrap"}

A shell answers as many lines as it is asked. What is offered is as a person would read it: no quoting, no `/` at the
end of a directory, no descriptions.
"""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

END = "--- no more ---"
SECONDS = 60  # for an answer, on a busy machine


class Shell:
    """Speaks to a shell that reads lines from one pipe, and answers each by lines up to `END`."""

    program: str
    arguments: tuple[str, ...]
    preparation: str

    def __init__(self, script: str, environment: Mapping[str, str], directory: Path) -> None:
        path = directory / f"completion.{self.program}"
        path.write_text(script)
        prepared = directory / f"prepared.{self.program}"
        prepared.write_text(self.preparation.replace("SCRIPT", shlex.quote(str(path))).replace("END", END))
        self._start(prepared, dict(environment))

    def _start(self, prepared: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [self.program, *self.arguments, str(prepared)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=environment["PWD"],
            env=environment,
        )

    def offers(self, line: str) -> set[str]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        found = set(iter(lambda: _line(self._process.stdout), END))
        return {word.partition("\t")[0].rstrip("/") for word in found} - {""}

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()


class Bash(Shell):
    program, arguments = "bash", ("--norc", "--noprofile")
    preparation = """
source SCRIPT
while IFS= read -r line; do
  read -ra COMP_WORDS <<<"$line"
  if [[ $line == *" " ]]; then COMP_WORDS+=(""); fi
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _km_client
  printf '%s\\n' "${COMPREPLY[@]}" "END"
done
"""


class Fish(Shell):
    program, arguments = "fish", ("--no-config",)
    preparation = """
source SCRIPT
while read --local line
  complete -C $line
  echo "END"
end
"""


class Zsh(Shell):
    """Its completion works in its line editor alone, so it has a terminal; what it would offer goes to a pipe."""

    program = "zsh"
    preparation = """
PROMPT= RPROMPT=
autoload -Uz compinit && compinit -u -D
source SCRIPT
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a kept
  builtin compadd -A kept "$@"
  print -rl -- ${(Q)kept} >&3
  builtin compadd "$@"
}
_end() { print -r -- "END" >&3; compstate[list]=; compstate[insert]=; }
_offer() { comppostfuncs=(_end); _main_complete; }
zle -C offer complete-word _offer
bindkey '^I' offer
exec 3>$FOUND
"""

    def _start(self, prepared: Path, environment: dict[str, str]) -> None:
        fifo = prepared.with_name("found")
        os.mkfifo(fifo)
        environment |= {"FOUND": str(fifo), "ZDOTDIR": str(prepared.parent), "TERM": "dumb"}
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(environment["PWD"])
            os.execvpe("zsh", ["zsh", "-f", "-i"], environment)
        os.write(self._terminal, f"source {shlex.quote(str(prepared))}\n".encode())
        self._found = fifo.open()

    def offers(self, line: str) -> set[str]:
        os.write(self._terminal, b"\x15" + line.encode() + b"\t")  # away with what stands there, then the line and Tab
        return {word.rstrip("/") for word in iter(lambda: _line(self._found), END)} - {""}

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        os.kill(self._pid, signal.SIGHUP)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)
        self._found.close()


def _line(stream: object) -> str:
    line: str = stream.readline()  # type: ignore[attr-defined]  # a text stream of either kind
    assert line, "the shell has ended"
    return line.rstrip("\n")
