"""Whether the archive holds source code that a person can read, and nothing else.

Programs, bytecode, archives within the archive, minified code and text that reads otherwise than it runs are all ways
to bring along what no reviewer sees.
"""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

from km_protocol.errors import PackageError
from km_protocol.kmpkg.entry_names import check_name
from km_protocol.kmpkg.limits import LIMITS

from plugins_registry.inspection.findings import Finding, Severity, finding
from plugins_registry.inspection.source_tree import MOST_TEXT_BYTES, SourceFile, SourceTree

CHECK = "hygiene"
_MAGIC = {
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\xfe\xed\xfa\xce": "a program",
    b"\xfe\xed\xfa\xcf": "a program",
    b"\xce\xfa\xed\xfe": "a program",
    b"\xcf\xfa\xed\xfe": "a program",
    b"\xca\xfe\xba\xbe": "a program",
    b"\0asm": "a program",
    b"!<arch>": "a library",
    b"PK\x03\x04": "an archive",
    b"\x1f\x8b": "an archive",
    b"BZh": "an archive",
    b"\xfd7zXZ": "an archive",
    b"\x28\xb5\x2f\xfd": "an archive",
    b"7z\xbc\xaf": "an archive",
}
_PROGRAMS = (".so", ".dylib", ".dll", ".pyd", ".exe", ".o", ".a", ".wasm", ".class", ".jar")
_BYTECODE = (".pyc", ".pyo")
_ARCHIVES = (".whl", ".egg", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".kmpkg")
_CODE = (".py", ".pyw", ".go", ".sh", ".js")
_HARMLESS_HIDDEN = frozenset({".gitignore", ".gitattributes", ".editorconfig", ".golangci.yml", ".dockerignore"})
_CREDENTIAL_FILES = frozenset({".env", ".netrc", ".pypirc", ".npmrc", ".git-credentials", ".htpasswd", ".pgpass"})
_STARTUP = frozenset({"sitecustomize.py", "usercustomize.py"})
_PROVIDED = frozenset({"km_plugin_sdk", "km_protocol", "grpclib", "google", "msgspec"})
_LARGE_BYTES = 5 * 1024 * 1024  # a plugin's source is a few hundred KB; its largest fixture is smaller than this
_LONG_LINE = 2000  # characters; the longest a formatter leaves is some hundreds
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{1024,}|(?:\\x[0-9a-fA-F]{2}){256,}")
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff]")  # "Trojan Source", CVE-2021-42574


def check(tree: SourceTree, runtime: str) -> Iterator[Finding]:
    total = 0
    for file in tree.files:
        total += file.size
        yield from _shape(file, runtime)
        if file.is_plain:
            yield from _content(tree, file)
    if not tree.is_whole:
        yield _at("", "too-many-files", "critical", f"holds more than {LIMITS.entries:,} files")
    if total > LIMITS.total:
        yield _at("", "too-large", "critical", f"holds {total:,} bytes; at most {LIMITS.total:,} are allowed")
    if runtime == "python":
        yield from _shadows(tree)


def _shape(file: SourceFile, runtime: str) -> Iterator[Finding]:
    name = file.name
    try:
        check_name(name.encode(errors="surrogateescape"))
    except PackageError as error:
        yield _at(name, "bad-name", "high", str(error), error.hint)
    if not file.is_plain:
        yield _at(name, "not-a-file", "critical", "is a link or no plain file", "put the file itself there")
    if file.mode & (stat.S_ISUID | stat.S_ISGID):
        yield _at(name, "setuid", "critical", "is set-user-id or set-group-id")
    if name.endswith(_PROGRAMS):
        yield _at(name, "program", "critical" if runtime == "python" else "high", "is compiled code", _SOURCE)
    elif name.endswith(_BYTECODE) or "__pycache__" in name.split("/"):
        yield _at(name, "bytecode", "high", "is compiled Python, which nobody can read", "leave it out")
    elif name.endswith(_ARCHIVES):
        yield _at(name, "archive", "high", "is an archive within the archive", _SOURCE)
    if name.endswith(".pth") or PurePosixPath(name).name in _STARTUP:
        yield _at(name, "startup-file", "high", "is run by Python before the plugin is", "leave it out")
    if runtime == "python" and name.startswith("site/"):
        message, hint = "is where the build puts what `requirements.txt` pins", "pin it there, and leave `site/` out"
        yield _at(name, "shipped-site", "critical", message, hint)
    yield from _hidden(name)
    if file.size > _LARGE_BYTES:
        yield _at(name, "large-file", "medium", f"has {file.size:,} bytes")


def _hidden(name: str) -> Iterator[Finding]:
    parts = name.split("/")
    last = parts[-1]
    if last in _CREDENTIAL_FILES or ".ssh" in parts or ".aws" in parts:
        yield _at(name, "credential-file", "high", "usually holds passwords", "leave it out, and change what it holds")
    elif any(part.startswith(".") for part in parts) and last not in _HARMLESS_HIDDEN and parts[0] != "vendor":
        yield _at(name, "hidden-file", "low", "is hidden")


def _content(tree: SourceTree, file: SourceFile) -> Iterator[Finding]:
    data = tree.read(file.name)
    for magic, what in _MAGIC.items():
        if data.startswith(magic) and not (magic == b"MZ" and data.isascii()):
            severity: Severity = "critical" if what != "an archive" else "high"
            yield _at(file.name, "disguised", severity, f"is {what}, whatever its name says", _SOURCE)
    if file.is_vendored or not file.name.endswith(_CODE):
        return
    if b"\0" in data:
        yield _at(file.name, "binary-code", "high", "is called source code and holds zero bytes")
    if file.size > MOST_TEXT_BYTES:
        yield _at(file.name, "large-code", "high", f"has {file.size:,} bytes, more than anybody reads", "split it")
    yield from _lines(file, data.decode(errors="replace"))


def _lines(file: SourceFile, text: str) -> Iterator[Finding]:
    most: Severity = "medium" if file.is_test else "high"
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > _LONG_LINE:
            yield _at(file.name, "minified", most, f"has a line of {len(line):,} characters", _READABLE, number, line)
        elif _BLOB.search(line):
            message = "holds a block of text that says nothing to a reader"
            yield _at(file.name, "obfuscated", most, message, _READABLE, number, line)
        if _REORDERING.search(line[1:] if number == 1 else line):
            message = "holds invisible characters, so that it reads otherwise than it runs"
            yield _at(file.name, "reordered-text", most, message, "write them as escapes", number, line)


def _shadows(tree: SourceTree) -> Iterator[Finding]:
    """A file that is imported instead of the standard library's module or the SDK's."""
    tops = {file.name.split("/")[0] for file in tree.named(".py")}
    for top in sorted(tops):
        module = top.removesuffix(".py")
        if module in _PROVIDED or (module in sys.stdlib_module_names and module not in {"__main__", "site"}):
            message = f"takes the place of `{module}`, which everything else would import from here"
            yield _at(top, "shadows-module", "high", message, "choose another name")


_SOURCE = "submit the source it is made of"
_READABLE = "submit what a person wrote"


def _at(
    name: str, rule: str, severity: Severity, message: str, hint: str = "", line: int = 0, text: str = ""
) -> Finding:
    return finding(CHECK, rule, severity, message, hint, file=name, line=line, text=text)
