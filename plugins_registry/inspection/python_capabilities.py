"""What a Python file does that needs a permission its manifest does not ask for.

The sandbox refuses all of it at run time anyway; a plugin that tries is either broken or not what it says it is. What
is declared is an `info`, so that reviewers see where it is used.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from plugins_registry.inspection.findings import Finding
from plugins_registry.inspection.python_module import PythonModule
from plugins_registry.inspection.python_names import text_of
from plugins_registry.inspection.python_tables import (
    CREDENTIAL,
    HOME_FUNCTIONS,
    NETWORK_METHODS,
    OPENERS,
    READING_FUNCTIONS,
    READING_METHODS,
    SYSTEM_METHODS,
    WRITING_FUNCTIONS,
    WRITING_METHODS,
    Capability,
    capability_of,
    is_within,
)

_ENVIRONMENTS = frozenset({"os.environ", "os.environb", "posix.environ"})
_GETENV = frozenset({"os.getenv", "os.getenvb", "os.environ.get", "os.environ.pop", "os.environ.setdefault"})
_HINTS = {
    "network": "ask for `network` in the manifest's permissions and say why, or leave it out",
    "system": "ask for `system` in the manifest's permissions and say why, or leave it out",
    "filesystem": "keep files in `config.state_dir`, or ask for `filesystem` and say why",
}
_PLACES = "file system outside its state directory"


def rules(module: PythonModule) -> Iterator[Finding]:
    yield from _programs_and_networks(module)
    yield from _files(module)
    yield from _environment(module)


def _programs_and_networks(module: PythonModule) -> Iterator[Finding]:
    for node in module.nodes:
        for name, capability in _used(module, node):
            if module.permissions.get(capability):
                yield module.at(node, f"uses-{capability}", "info", f"`{name}` uses the declared `{capability}`")
            else:
                message = f"`{name}` needs the permission `{capability}`, which the manifest does not ask for"
                yield module.at(node, f"undeclared-{capability}", "high", message, _HINTS[capability])


def _used(module: PythonModule, node: ast.AST) -> Iterator[tuple[str, Capability]]:
    names: set[str] = set()
    if isinstance(node, ast.Import):
        names = {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = {f"{node.module}.{alias.name}" for alias in node.names}
    elif isinstance(node, ast.Attribute | ast.Call):
        names = module.names.of(node)
    for name in sorted(names):
        if capability := capability_of(name):
            yield name.replace("()", ""), capability
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in NETWORK_METHODS:
            yield node.func.attr, "network"
        elif node.func.attr in SYSTEM_METHODS:
            yield node.func.attr, "system"


def _files(module: PythonModule) -> Iterator[Finding]:
    if module.permissions.get("filesystem"):
        return
    for call in module.calls():
        names = module.names.of(call.func)
        if names & OPENERS:
            yield from _opened(module, call, call.args[0] if call.args else None, _mode(call, 1))
        elif any(is_within(name, WRITING_FUNCTIONS) for name in names):
            yield from _written(module, call, sorted(names)[0])
        elif any(is_within(name, HOME_FUNCTIONS) for name in names):
            message = f"`{sorted(names)[0]}` finds the user's own directory"
            yield module.at(call, "home-directory", "high", message, _HINTS["filesystem"])
        elif any(is_within(name, READING_FUNCTIONS) for name in names):
            if not _is_own(module, call):
                yield module.at(
                    call, "reads-directory", "medium", f"`{sorted(names)[0]}` lists or reads what lies about"
                )
        elif isinstance(call.func, ast.Attribute):
            yield from _method(module, call, call.func)


def _method(module: PythonModule, call: ast.Call, method: ast.Attribute) -> Iterator[Finding]:
    if method.attr in WRITING_METHODS and not module.is_state_path(method.value):
        message = f"`.{method.attr}()` writes to the {_PLACES}"
        yield module.at(call, "undeclared-filesystem", "high", message, _HINTS["filesystem"])
    elif method.attr in READING_METHODS and not _is_own(module, method.value):
        yield from _read(module, call, method.value)
    elif method.attr == "open" and any(name.startswith("pathlib.") for name in module.names.of(method.value)):
        yield from _opened(module, call, method.value, _mode(call, 0))
    elif method.attr in {"expanduser", "home"}:
        yield module.at(call, "home-directory", "high", "finds the user's own directory", _HINTS["filesystem"])


def _opened(module: PythonModule, call: ast.Call, path: ast.AST | None, mode: str | None) -> Iterator[Finding]:
    if module.is_state_path(path):
        return
    if mode is None or set(mode) & set("wax+"):
        message = f"opens a file for writing in the {_PLACES}"
        yield module.at(call, "undeclared-filesystem", "high", message, _HINTS["filesystem"])
    elif path is not None and not _is_own(module, path):
        yield from _read(module, call, path)


def _read(module: PythonModule, call: ast.Call, path: ast.AST) -> Iterator[Finding]:
    """A path written out is judged; one that is computed is for a reader to judge."""
    written = [text for text in map(text_of, ast.walk(path)) if text]
    if any(text.startswith(("/", "~", "\\")) or ".." in text or ":\\" in text for text in written):
        message = f"reads `{written[0][:100]}`, which is not the plugin's own"
        yield module.at(call, "undeclared-filesystem", "high", message, _HINTS["filesystem"])
    elif not written:
        yield module.at(call, "reads-computed-path", "low", "reads a file whose path is computed")


def _written(module: PythonModule, call: ast.Call, name: str) -> Iterator[Finding]:
    paths = [each for each in call.args if not isinstance(each, ast.Constant) or isinstance(each.value, str)]
    is_memory = bool(paths) and text_of(paths[0]) == ":memory:"
    if not is_memory and not any(module.is_state_path(path) for path in paths):
        message = f"`{name}` changes the {_PLACES}"
        yield module.at(call, "undeclared-filesystem", "high", message, _HINTS["filesystem"])


def _is_own(module: PythonModule, node: ast.AST) -> bool:
    """Beside the plugin's own code, or in its state directory."""
    words = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    escapes = any(".." in text_of(each) or text_of(each).startswith("/") for each in ast.walk(node))
    return not escapes and ("__file__" in words or module.is_state_path(node))


def _mode(call: ast.Call, position: int) -> str | None:
    """What `open` is asked for; `None` when that is computed."""
    given = next((word.value for word in call.keywords if word.arg == "mode"), None)
    if given is None and len(call.args) > position:
        given = call.args[position]
    if given is None:
        return "r"
    return text_of(given) or None


def _environment(module: PythonModule) -> Iterator[Finding]:
    read: set[ast.AST] = set()  # uses of `os.environ` whose variable is named
    for node in module.nodes:
        key: ast.AST | None = None
        if isinstance(node, ast.Subscript) and module.names.of(node.value) & _ENVIRONMENTS:
            key = node.slice
            read.add(node.value)
        elif isinstance(node, ast.Call) and module.names.of(node.func) & _GETENV and node.args:
            key = node.args[0]
            if isinstance(node.func, ast.Attribute):
                read.add(node.func.value)
        if key is not None:
            yield from _variable(module, node, text_of(key))
    for node in module.nodes:
        if isinstance(node, ast.Attribute | ast.Name) and node not in read and module.names.of(node) & _ENVIRONMENTS:
            yield module.at(node, "whole-environment", "high", "takes the environment as a whole", "name the variable")


def _variable(module: PythonModule, node: ast.AST, name: str) -> Iterator[Finding]:
    if not name:
        yield module.at(node, "computed-variable", "medium", "reads an environment variable whose name is computed")
    elif CREDENTIAL.search(name):
        message = f"reads `{name}` from the environment, which looks like a credential"
        yield module.at(node, "environment-credential", "high", message, "a plugin's own token is `config.jwt`")
    else:
        yield module.at(node, "environment", "low", f"reads `{name}` from the environment, which a plugin has not")
