"""What a Python expression refers to, as far as can be told without running it.

names = Names(ast.parse("import os as o\nrun = o.system\nrun('id')"))
names.of(call.func)                 {"os.system"}

Every name has all meanings that any line of the file gives it: whoever assigns twice to hide one shows both. Scopes are
not told apart, for the same reason.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

_ROUNDS = 4  # how long a chain of assignments is followed: a = os; b = a; c = b; c.system(…)
_DEEP = 40  # attributes of attributes: nothing that a person writes is deeper
_IMPORTERS = frozenset({"__import__", "builtins.__import__", "importlib.import_module", "importlib.__import__"})
_GETTERS = frozenset({"getattr", "builtins.getattr"})


class Names:
    """Of one module. `imported` are the names that an import binds."""

    def __init__(self, tree: ast.Module) -> None:
        self.imported: set[str] = set()
        self._meanings: dict[str, set[str]] = defaultdict(set)
        self._nodes = list(ast.walk(tree))
        for node in self._nodes:
            self._import(node)
        for _ in range(_ROUNDS):
            for target, value in self.assignments():
                if (key := _key(target)) is not None:
                    self._meanings[key] |= self.of(value)

    def assignments(self) -> Iterator[tuple[ast.expr, ast.expr]]:
        """(target, value) of everything that gives something a name."""
        for node in self._nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    yield from _pairs(target, node.value)
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                yield node.target, node.value
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                yield node.optional_vars, node.context_expr
            elif isinstance(node, ast.For):
                yield node.target, node.iter

    def of(self, node: ast.AST, depth: int = 0) -> set[str]:
        """Dotted names; a bare name that nothing binds is itself, so a builtin is."""
        if depth > _DEEP:
            return set()
        if isinstance(node, ast.Name):
            return self._meanings.get(node.id, set()) or {node.id}
        if isinstance(node, ast.Attribute):
            key = _key(node)
            known = self._meanings.get(key, set()) if key else set()
            return known | {f"{base}.{node.attr}" for base in self.of(node.value, depth + 1)}
        if isinstance(node, ast.Call):
            return self._of_call(node, depth + 1)
        if isinstance(node, ast.IfExp):
            return self.of(node.body, depth + 1) | self.of(node.orelse, depth + 1)
        if isinstance(node, ast.BoolOp):
            return {name for value in node.values for name in self.of(value, depth + 1)}
        return self.of(node.value, depth + 1) if isinstance(node, ast.NamedExpr | ast.Await) else set()

    def _of_call(self, node: ast.Call, depth: int) -> set[str]:
        """An import by call is the module; `getattr` with a name written out is that attribute."""
        called = self.of(node.func, depth)
        if called & _IMPORTERS and node.args:
            return {text for text in [text_of(node.args[0])] if text}
        if called & _GETTERS and len(node.args) > 1 and (attribute := text_of(node.args[1])):
            return {f"{base}.{attribute}" for base in self.of(node.args[0], depth)}
        return {f"{name}()" for name in called}

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                self._bind(bound, alias.name if alias.asname else bound)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                self._bind(alias.asname or alias.name, f"{node.module}.{alias.name}")

    def _bind(self, name: str, meaning: str) -> None:
        self.imported.add(name)
        self._meanings[name].add(meaning)


def text_of(node: ast.AST) -> str:
    """The string that `node` is, put together from pieces if need be; empty when that cannot be told."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return left + right if left and right else ""
    return ""


def _key(node: ast.AST) -> str | None:
    """`x`, or `self.x`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """`a, b = x, y` is two; of `a, b = f()` both are `f()`."""
    if not isinstance(target, ast.Tuple | ast.List):
        yield target, value
    elif isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _pairs(one, other)
    else:
        for one in target.elts:
            yield from _pairs(one, value)
