"""Whether what the plugin depends on is named so exactly that everybody gets the same bytes.

Python: every line of `requirements.txt` is one version with its SHA-256. Go: every module is vendored, and `go.sum` has
its hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from plugins_registry.inspection.findings import Finding, Severity, finding
from plugins_registry.inspection.source_tree import SourceTree, line_of

CHECK = "pins"
REQUIREMENTS = "requirements.txt"
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[\w, .-]+\])?\s*==\s*[A-Za-z0-9][\w.!+-]*\s*(?:;[^#]*)?")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?:\s|$)")
_OPTION = re.compile(r"\s--[a-z-]+(?:=\S+)?")
_DIRECT = re.compile(r"(?i)(?:git|hg|svn|bzr)\+|https?://|file:|@\s")


class Module(NamedTuple):
    """One line of `vendor/modules.txt`, or of `go.mod`. `replaced` is where it comes from instead, if anywhere."""

    path: str
    version: str
    replaced: str


def check(tree: SourceTree, runtime: str) -> Iterator[Finding]:
    return _go(tree) if runtime == "go" else _python(tree)


def _python(tree: SourceTree) -> Iterator[Finding]:
    for name in ("setup.py", "setup.cfg"):
        if tree.has(name):
            yield _at(name, 0, "", "build-script", "high", "is run by an installer, not by a plugin", "leave it out")
    for file in tree.files:
        if file.name != REQUIREMENTS and re.fullmatch(r"requirements[\w.-]*\.txt", file.name):
            yield _at(file.name, 0, "", "other-requirements", "info", f"is not read; `{REQUIREMENTS}` is")
    if tree.has(REQUIREMENTS):
        for number, line in _logical_lines(tree.text(REQUIREMENTS)):
            yield from _requirement(number, line)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Without comments, and with what continues in the next line."""
    begun, start = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        start = start if begun else number
        begun += re.sub(r"(?:^|\s)#.*", "", line.rstrip("\r"))
        if begun.endswith("\\"):
            begun = begun[:-1] + " "
            continue
        if begun.strip():
            yield start, begun.strip()
        begun = ""
    if begun.strip():
        yield start, begun.strip()


def _requirement(number: int, line: str) -> Iterator[Finding]:
    pin_hint = "`uv pip compile --generate-hashes` writes such a file"
    name = _OPTION.sub("", f" {line}").strip()
    if line.startswith("-"):
        message = f"`{line.split(maxsplit=1)[0][:60]}` changes where packages come from"
        yield _at(REQUIREMENTS, number, line, "requirement-option", "high", message, "name packages and nothing else")
    elif _DIRECT.search(name):
        yield _at(
            REQUIREMENTS, number, line, "direct-reference", "high", f"`{name[:100]}` is not from the index", pin_hint
        )
    elif not _PINNED.fullmatch(name) or ".*" in name:
        yield _at(REQUIREMENTS, number, line, "unpinned", "high", f"`{name[:100]}` is not one version", pin_hint)
    elif not _HASH.search(line):
        yield _at(REQUIREMENTS, number, line, "no-hash", "high", f"`{name[:100]}` has no SHA-256", pin_hint)
    if any(f" {option}" in f" {line}" for option in ("--global-option", "--config-setting", "--no-binary")):
        yield _at(REQUIREMENTS, number, line, "requirement-option", "high", "asks for a build of the package")


def _go(tree: SourceTree) -> Iterator[Finding]:
    if not tree.has("go.mod"):
        yield _at("go.mod", 0, "", "no-go-mod", "high", "is missing", "`go mod init` makes one")
        return
    if tree.has("go.work"):
        yield _at("go.work", 0, "", "go-work", "high", "changes what is built", "leave it out")
    wanted = required(tree.text("go.mod"))
    yield from _replacements(tree, wanted)
    fetched = [module for module in wanted if not module.replaced.startswith((".", "/"))]
    if not fetched:
        return
    if not tree.has("vendor/modules.txt"):
        message = f"{len(fetched)} modules are required and none is vendored; nothing is fetched to check or build it"
        yield _at("go.mod", 0, "vendor", "not-vendored", "high", message, "run `go mod vendor` and submit `vendor/`")
    yield from _sums(tree, fetched)


def _replacements(tree: SourceTree, wanted: list[Module]) -> Iterator[Finding]:
    for module in wanted:
        if not module.replaced:
            continue
        place = module.replaced.split()[0]
        is_outside = place.startswith(("/", "..")) or ".." in place.split("/")
        if is_outside and not tree.has("vendor/modules.txt"):
            message = f"`{module.path}` comes from `{place}`, which is not in the source"
            yield _at("go.mod", 0, module.path, "replaced-outside", "high", message, "run `go mod vendor`")
        elif not place.startswith((".", "/")):
            message = f"`{module.path}` is replaced by `{module.replaced}`"
            yield _at("go.mod", 0, module.path, "replaced-module", "medium", message)


def _sums(tree: SourceTree, fetched: list[Module]) -> Iterator[Finding]:
    sums = {tuple(line.split()[:2]) for line in tree.text("go.sum").split("\n") if line.strip()}
    for module in fetched:
        path, version = (*module.replaced.split(), module.version)[:2] if module.replaced else module[:2]
        if not {(path, version), (path, f"{version}/go.mod")} & sums:
            message = f"has no hash of `{path}` {version}"
            yield _at("go.sum", 0, f"{path} {version}", "no-sum", "high", message, "`go mod tidy` writes it")


def required(text: str) -> list[Module]:
    """What a `go.mod` requires, directly or not, with its replacements."""
    modules: dict[str, str] = {}
    replaced: dict[str, str] = {}
    block = ""
    for raw in text.split("\n"):
        line = raw.partition("//")[0].strip()
        opened = re.fullmatch(r"(\w+)\s*\(", line)
        if opened or line == ")":
            block = opened.group(1) if opened else ""
            continue
        words = line.split() if block else line.split()[1:]
        verb = block or line.partition(" ")[0]
        if verb == "require" and len(words) >= 2:
            modules[_unquoted(words[0])] = words[1]
        elif verb == "replace" and "=>" in words:
            replaced[_unquoted(words[0])] = " ".join(map(_unquoted, words[words.index("=>") + 1 :]))
    return [Module(path, version, replaced.get(path, "")) for path, version in modules.items()]


def vendored(text: str) -> list[Module]:
    """What a `vendor/modules.txt` lists: `# path version [=> replacement]`."""
    found = []
    for line in text.split("\n"):
        words = line.split()
        if line.startswith("# ") and len(words) >= 3 and words[2] != "=>":
            replacement = " ".join(words[words.index("=>") + 1 :]) if "=>" in words else ""
            found.append(Module(words[1], words[2], replacement))
    return found


def _unquoted(word: str) -> str:
    return json.loads(word) if word.startswith('"') and word.endswith('"') and len(word) > 1 else word


def _at(file: str, number: int, text: str, rule: str, severity: Severity, message: str, hint: str = "") -> Finding:
    return finding(CHECK, rule, severity, message, hint, file=file, line=number, text=text or line_of(message, 1))
