"""A Go plugin's modules: the registry builds without a network, so whatever it needs lies in `vendor/` or is missing.

    missing(Path("slow-tools"))        "`vendor/` is missing"; "" where it holds what `go.mod` asks for
    with fetched(Path("slow-tools"), why, tell) as vendor: …  what `go mod vendor` makes, in a directory gone afterwards

What is compared is what `go build -mod=vendor` compares: `go.mod` with `vendor/modules.txt`, each requirement and each
replacement. Nothing here writes to the author's directory.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from km_client.errors import ClientError

VENDOR = "vendor"
COMMAND = "go mod vendor"
_SECONDS = 600.0  # every module over a slow line
_BLOCK = re.compile(r"(require|replace)\s*\(")
_LINE = re.compile(r"(require|replace)\s+(.+)")

Module = tuple[str, str]  # path and version; of a replacement, the version may be empty: all of them


class Modules(NamedTuple):
    """Requirements, and what stands in for a module: `{("example.com/a", ""): ("./a", "")}`."""

    required: frozenset[Module]
    replaced: Mapping[Module, Module]

    def stand_in(self, module: Module) -> Module | None:
        return self.replaced.get(module) or self.replaced.get((module[0], ""))


def missing(directory: Path) -> str:
    """Why `vendor/` will not do, as the beginning of a sentence; empty when it will. Raises `OSError`."""
    file = directory / "go.mod"
    if not file.is_file():
        return ""  # which the registry says better
    wanted = _wanted(file.read_text(encoding="utf-8", errors="replace"))
    elsewhere = [module for module in wanted.required if not _is_inside(wanted.stand_in(module))]
    if not elsewhere:
        return ""
    listed = directory / VENDOR / "modules.txt"
    if not listed.is_file():
        count = len(wanted.required)
        return f"`{VENDOR}/` is missing, and `go.mod` requires {count} module{'s' if count != 1 else ''}"
    found = _vendored(listed.read_text(encoding="utf-8", errors="replace"))
    stale = sorted(path for path, _ in wanted.required ^ found.required) or _replaced_otherwise(wanted, found)
    return f"`{VENDOR}/` is not what `go.mod` asks for (`{stale[0]}`)" if stale else ""


@contextmanager
def fetched(directory: Path, why: str, tell: Callable[[str], None]) -> Iterator[Path]:
    """`tell` hears what is run, and why. Raises `ClientError`: without Go, or when Go cannot."""
    if shutil.which("go") is None:
        message = f"{why}; there is no `go` on PATH to fetch what is missing"
        raise ClientError(
            "no_go", message, f"install Go 1.24 or newer, or run `{COMMAND}` where it is, and submit again"
        )
    tell(f"{why}: `{COMMAND}` makes one for what is sent; your directory stays as it is")
    with tempfile.TemporaryDirectory(prefix="km-vendor-") as scratch:
        made = Path(scratch) / VENDOR
        _run(["go", "mod", "vendor", "-o", str(made)], directory)
        yield made


def refused(why: str) -> ClientError:
    return ClientError("not_vendored", f"{why}; nothing is fetched to build it", f"run `{COMMAND}`, and submit again")


def _run(command: list[str], directory: Path) -> None:
    """Read-only, so that Go says what it would change in `go.mod` and `go.sum` instead of changing it."""
    flags = f"{os.environ.get('GOFLAGS', '')} -mod=readonly".strip()
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=os.environ | {"GOFLAGS": flags, "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ClientError("not_vendored", f"`{COMMAND}` took over {_SECONDS:.0f} s", _BY_HAND) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        tidy = "updates to go.mod needed" in said or "missing go.sum entry" in said
        hint = "run `go mod tidy`, look at what it changed, and submit again" if tidy else _BY_HAND
        raise ClientError("not_vendored", f"`{COMMAND}` failed: {said[-2_000:]}", hint)


_BY_HAND = f"see that `{COMMAND}` works in the plugin's directory, and submit again"


def _is_inside(stand_in: Module | None) -> bool:
    """Whether a module is a directory of the plugin itself, which is sent with it."""
    path = Path(stand_in[0]) if stand_in and not stand_in[1] else Path("..")
    return not path.is_absolute() and ".." not in path.parts


def _replaced_otherwise(wanted: Modules, found: Modules) -> list[str]:
    """Modules that `go.mod` replaces and `vendor/modules.txt` does not, or by another; or the reverse."""
    ways = ((wanted, found), (found, wanted))
    return sorted(
        {module[0] for one, other in ways for module in one.replaced if one.stand_in(module) != other.stand_in(module)}
    )


def _wanted(text: str) -> Modules:
    """Of `go.mod`."""
    required, replaced = set(), {}
    for kind, words in _directives(text):
        if kind == "require" and len(words) == 2:
            required.add((words[0], words[1]))
        elif kind == "replace" and "=>" in words:
            at = words.index("=>")
            replaced[_module(words[:at])] = _module(words[at + 1 :])
    return Modules(frozenset(required), replaced)


def _directives(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each `require` and `replace`, alone or in a block, with its words."""
    block = ""
    for line in text.splitlines():
        said = line.partition("//")[0].strip()
        if opened := re.fullmatch(_BLOCK, said):
            block = opened[1]
        elif said == ")":
            block = ""
        elif block and said:
            yield block, _words(said)
        elif alone := re.fullmatch(_LINE, said):
            yield alone[1], _words(alone[2])


def _words(text: str) -> list[str]:
    return [word.strip('"`') for word in text.split()]


def _vendored(text: str) -> Modules:
    """Of `vendor/modules.txt`: `# path version => other`, and `## explicit` below what `go.mod` requires itself."""
    required, replaced = set(), {}
    module: Module = ("", "")
    for line in text.splitlines():
        if line.startswith("## ") and "explicit" in re.split(r"[; ]+", line):
            required.add(module)
        elif line.startswith("# "):
            named, arrow, other = line[2:].partition(" => ")
            module = _module(named.split())
            if arrow:
                replaced[module] = _module(other.split())
    return Modules(frozenset(required), replaced)


def _module(words: list[str]) -> Module:
    return (words[0] if words else "", words[1] if len(words) > 1 else "")
