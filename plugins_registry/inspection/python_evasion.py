"""What a Python file does that no plugin needs: text or data that becomes code, and ways round the other rules.

Nothing here depends on the manifest. A plugin that has a reason gives it to the reviewers, who remember their decision.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from plugins_registry.inspection.findings import Finding
from plugins_registry.inspection.python_module import PythonModule
from plugins_registry.inspection.python_names import text_of
from plugins_registry.inspection.python_tables import (
    CODE_MAKERS,
    EVALUATORS,
    INNER_ATTRIBUTES,
    INTERNALS,
    UNPICKLERS,
    capability_of,
    is_within,
)

_GETTERS = frozenset({"getattr", "builtins.getattr", "operator.attrgetter", "operator.methodcaller"})
_SETTERS = frozenset({"setattr", "delattr", "builtins.setattr", "builtins.delattr"})
_IMPORTERS = frozenset({"__import__", "builtins.__import__", "importlib.import_module", "importlib.__import__"})
_RUNNERS = frozenset({"eval", "exec", "compile", "builtins.eval", "builtins.exec", "builtins.compile"})
_NAMESPACES = frozenset({"globals", "locals", "vars", "builtins.globals", "builtins.locals", "builtins.vars"})
_SENSITIVE = frozenset({"os", "sys", "builtins", "subprocess", "socket", "ctypes", "importlib", "shutil", "posix"})
_PLAIN = "write out what it does"


def rules(module: PythonModule) -> Iterator[Finding]:
    yield from _imports(module)
    yield from _names(module)
    for call in module.calls():
        yield from _call(module, call)
    yield from _patches(module)


def _imports(module: PythonModule) -> Iterator[Finding]:
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            severity = "high" if is_within(node.module or "", _SENSITIVE) or capability_of(node.module or "") else "low"
            yield module.at(node, "star-import", severity, f"`from {node.module} import *` hides what is used")  # type: ignore[arg-type]
        if isinstance(node, ast.Import | ast.ImportFrom):
            inner = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                yield from _named(module, node, f"{inner}.{alias.name}" if inner else alias.name)


def _names(module: PythonModule) -> Iterator[Finding]:
    for node in module.nodes:
        if isinstance(node, ast.Name) and node.id in EVALUATORS:
            yield module.at(node, "evaluates-code", "high", f"`{node.id}` runs text as code", _PLAIN)
        elif isinstance(node, ast.Attribute):
            if node.attr in INNER_ATTRIBUTES:
                yield module.at(node, "interpreter-internals", "high", f"`.{node.attr}` reaches into the interpreter")
            for name in module.names.of(node):
                yield from _named(module, node, name)


def _named(module: PythonModule, node: ast.AST, name: str) -> Iterator[Finding]:
    if is_within(name, CODE_MAKERS):
        yield module.at(node, "evaluates-code", "high", f"`{name}` makes code while the plugin runs", _PLAIN)
    elif is_within(name, UNPICKLERS):
        message = f"`{name}` reads data that can run any code"
        yield module.at(node, "unpickles", "high", message, "use JSON")
    elif is_within(name, INTERNALS):
        yield module.at(node, "interpreter-internals", "high", f"`{name}` reaches into the interpreter")


def _call(module: PythonModule, call: ast.Call) -> Iterator[Finding]:
    names = module.names.of(call.func)
    arguments = [*call.args, *(word.value for word in call.keywords)]
    if names & _RUNNERS and any(module.is_decoded(argument) for argument in arguments):
        yield module.at(call, "decoded-code", "critical", "runs code that was unpacked from unreadable data", _PLAIN)
    if names & _IMPORTERS:
        yield from _import(module, call)
    elif names & _GETTERS:
        yield from _attribute(module, call, names)
    elif names & _SETTERS and call.args and _is_foreign(module, call.args[0]):
        yield module.at(call, "patches-module", "high", "changes a module that is not the plugin's own")
    elif names & _NAMESPACES and (not call.args or _is_foreign(module, call.args[0])):
        yield module.at(call, "namespace-access", "high", f"`{sorted(names)[0]}()` reaches names without naming them")


def _import(module: PythonModule, call: ast.Call) -> Iterator[Finding]:
    name = text_of(call.args[0]) if call.args else ""
    if not name:
        yield module.at(call, "computed-import", "high", "imports a module whose name is computed", "use `import`")
    else:
        yield module.at(call, "hidden-import", "medium", f"imports `{name}` by a call", "use `import`")
        yield from _named(module, call, name)


def _attribute(module: PythonModule, call: ast.Call, names: set[str]) -> Iterator[Finding]:
    """`getattr(self, name)` dispatches; of a module, or with a name that says it all, it hides."""
    is_getattr = bool(names & {"getattr", "builtins.getattr"})
    position = 1 if is_getattr else 0
    if len(call.args) <= position:
        return
    name = text_of(call.args[position])
    if not name and is_getattr and _is_foreign(module, call.args[0]):
        yield module.at(call, "computed-attribute", "high", "takes something of a module by a computed name", _PLAIN)
    elif not name:
        yield module.at(call, "computed-attribute", "low", "takes an attribute by a computed name")
    elif name in EVALUATORS or name in INNER_ATTRIBUTES or (name.startswith("__") and name.endswith("__")):
        yield module.at(call, "computed-attribute", "high", f"takes `{name}` by `getattr`", _PLAIN)
    elif is_getattr:
        for full in module.names.of(call):
            yield from _named(module, call, full)


def _patches(module: PythonModule) -> Iterator[Finding]:
    for node in module.nodes:
        targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else []
        if isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Attribute) and _is_foreign(module, target.value):
                message = f"replaces `{ast.unparse(target)[:100]}`, which is not the plugin's own"
                yield module.at(node, "patches-module", "high", message)


def _is_foreign(module: PythonModule, node: ast.AST) -> bool:
    """Whether it is something that an import brought, or the builtins; not what was made with it."""
    if isinstance(node, ast.Name) and (node.id in module.names.imported or node.id == "__builtins__"):
        return True
    if isinstance(node, ast.Call):
        return bool(module.names.of(node.func) & _IMPORTERS)
    return isinstance(node, ast.Attribute) and _is_foreign(module, node.value)
