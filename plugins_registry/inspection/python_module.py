"""One Python file, parsed: what every rule about Python looks at.

module = PythonModule.parse("main.py", data, permissions)
module.at(node, "eval", "high", "`eval` runs text as code")      the finding at that node's line
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from plugins_registry.inspection.findings import Finding, Severity, finding
from plugins_registry.inspection.python_names import Names, text_of
from plugins_registry.inspection.python_tables import DECODERS, is_within
from plugins_registry.inspection.source_tree import line_of

CHECK = "python_rules"
Test = Callable[[ast.AST], bool]
_PATH_CALLS = frozenset(
    {"Path", "PurePath", "join", "joinpath", "with_suffix", "with_name", "str", "fspath", "resolve"}
)


@dataclass(frozen=True, slots=True)
class PythonModule:
    """`nodes` are all of the tree. `in_state` and `decoded`: names that were given a state path, or decoded data."""

    file: str
    text: str
    tree: ast.Module
    names: Names
    nodes: tuple[ast.AST, ...]
    permissions: Mapping[str, bool]
    in_state: frozenset[str]
    decoded: frozenset[str]

    @classmethod
    def parse(cls, file: str, data: bytes, permissions: Mapping[str, bool]) -> PythonModule:
        """As Python reads it, its declared encoding included. Raises `SyntaxError`, `ValueError`, `RecursionError`."""
        tree = ast.parse(data, filename=file)
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        names = Names(tree)
        return cls(
            file,
            data.decode(encoding, errors="replace"),
            tree,
            names,
            tuple(ast.walk(tree)),
            permissions,
            _given(names, _is_state_root, _is_path),
            _given(names, lambda node: _is_decoder(node, names), lambda _: True),
        )

    def calls(self) -> Iterator[ast.Call]:
        return (node for node in self.nodes if isinstance(node, ast.Call))

    def at(self, node: ast.AST, rule: str, severity: Severity, message: str, hint: str = "") -> Finding:
        line = getattr(node, "lineno", 0)
        text = line_of(self.text, line)
        return finding(CHECK, rule, severity, message, hint, file=self.file, line=line, text=text)

    def is_state_path(self, node: ast.AST | None) -> bool:
        """Whether it can only be within the state directory, as far as the words go."""
        if node is None:
            return False
        inner = list(ast.walk(node))
        escapes = any(".." in text_of(each) or text_of(each).startswith(("/", "~")) for each in inner)
        return not escapes and _is_path(node) and any(_is_state_root(e) or _word(e) in self.in_state for e in inner)

    def is_decoded(self, node: ast.AST) -> bool:
        """Whether what it says was unpacked from something unreadable."""
        return any(_is_decoder(each, self.names) or _word(each) in self.decoded for each in ast.walk(node))


def _is_state_root(node: ast.AST) -> bool:
    return _word(node).rpartition(".")[2] == "state_dir"


def _is_decoder(node: ast.AST, names: Names) -> bool:
    return isinstance(node, ast.Call) and any(is_within(name, DECODERS) for name in names.of(node.func))


def _is_path(node: ast.AST) -> bool:
    """Whether it does nothing but put a path together; what a file there says is no path."""
    calls = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    return all(_word(function).rpartition(".")[2] in _PATH_CALLS for function in calls)


def _given(names: Names, is_source: Test, carries: Test) -> frozenset[str]:
    """What is assigned something with a part of which `is_source` holds, or of which such a word is part."""
    found: set[str] = set()
    while True:
        before = len(found)
        for target, value in names.assignments():
            if carries(value) and any(is_source(each) or _word(each) in found for each in ast.walk(value)):
                found.update(filter(None, [_word(target)]))
        if len(found) == before:
            return frozenset(found)


def _word(node: ast.AST) -> str:
    """`path`, `self.path`; empty for what is neither."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return f".{node.attr}" if isinstance(node, ast.Attribute) else ""
