"""Every rule about Python, over every Python file.

The files of `tests/` are looked at as well, but what they may not do is an `info`: they are never in a package.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping

from plugins_registry.inspection import python_capabilities, python_evasion, python_module
from plugins_registry.inspection.findings import Finding, finding, lowered
from plugins_registry.inspection.python_module import PythonModule
from plugins_registry.inspection.source_tree import SourceFile, SourceTree, line_of

CHECK = python_module.CHECK
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # PEP 263, in the first two lines
_PLAIN_ENCODINGS = frozenset({"utf-8", "ascii"})


def check(tree: SourceTree, permissions: Mapping[str, bool]) -> Iterator[Finding]:
    for file in tree.named(".py", ".pyw", ".pyi"):
        found = _in_file(file, tree.read(file.name), permissions)
        yield from (lowered(each, "info") for each in found) if file.is_test else found


def _in_file(file: SourceFile, data: bytes, permissions: Mapping[str, bool]) -> Iterator[Finding]:
    yield from _encoding(file.name, data)
    try:
        module = PythonModule.parse(file.name, data, permissions)
    except (SyntaxError, ValueError, LookupError) as error:
        number = getattr(error, "lineno", 0) or 0
        text = line_of(data.decode(errors="replace"), number)
        message = f"is no Python that this version can read: {getattr(error, 'msg', error)}"
        yield finding(CHECK, "unreadable-python", "high", message, file=file.name, line=number, text=text)
        return
    except (RecursionError, MemoryError):
        message = "is nested too deeply to be read"
        yield finding(CHECK, "unreadable-python", "high", message, "write it plainly", file=file.name)
        return
    yield from python_capabilities.rules(module)
    yield from python_evasion.rules(module)


def _encoding(name: str, data: bytes) -> Iterator[Finding]:
    """Another encoding than the one tools read shows reviewers other words than it runs."""
    for number, line in enumerate(data.split(b"\n", 2)[:2], start=1):
        declared = _COOKIE.match(line)
        if declared and _canonical(declared.group(1).decode()) not in _PLAIN_ENCODINGS:
            text = line.decode(errors="replace")
            message = f"declares the encoding `{declared.group(1).decode()}`"
            hint = "write it in UTF-8"
            yield finding(CHECK, "source-encoding", "high", message, hint, file=name, line=number, text=text)


def _canonical(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return ""
