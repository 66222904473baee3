"""Whether vendored Go modules are what their authors released, and whose code the copy of the SDK is.

    vendor/github.com/oklog/run/actors.go   compared, byte for byte, with the same file of the module as it was released

Go checks `go.sum` when it fetches and never again, so what lies in `vendor/` proves nothing by itself. `cache` is a
module cache that the operator filled (`GOMODCACHE`); without one, every vendored module is a finding for the reviewers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from plugins_registry.inspection import go_rules, pin_rules
from plugins_registry.inspection.findings import Finding, finding
from plugins_registry.inspection.pin_rules import Module
from plugins_registry.inspection.source_tree import SourceFile, SourceTree

CHECK = "vendored"
SDK = "github.com/kilometers-ai/kilometers-plugin-sdk-go"
_SDK_COPY = "kilometers-sdk/"  # where `km-client plugin new` puts it
_LIST = "vendor/modules.txt"


def check(tree: SourceTree, cache: Path | None, sdk: Path | None) -> Iterator[Finding]:
    modules = pin_rules.vendored(tree.text(_LIST)) if tree.has(_LIST) else []
    places = {f"vendor/{module.path}/": module for module in modules}
    for prefix in sorted(places, key=len, reverse=True):
        files = [file for file in tree.files if file.name.startswith(prefix) and _owner(file, places) == prefix]
        yield from _module(tree, places[prefix], files, prefix, _original(places[prefix], tree.root, cache, sdk))
    for file in tree.files:
        if file.name.startswith("vendor/") and file.name != _LIST and not _owner(file, places):
            yield finding(CHECK, "stray-file", "high", f"belongs to no module of `{_LIST}`", file=file.name)
    yield from _sdk_copy(tree, sdk)


def sdk_files(tree: SourceTree, sdk: Path | None) -> frozenset[str]:
    """Those of the copy that are byte for byte ours."""
    if sdk is None:
        return frozenset()
    copies = (file for file in tree.files if file.name.startswith(_SDK_COPY) and file.is_plain)
    return frozenset(file.name for file in copies if _is_same(tree, file, _SDK_COPY, sdk))


def _sdk_copy(tree: SourceTree, sdk: Path | None) -> Iterator[Finding]:
    known = sdk_files(tree, sdk)
    for file in tree.files:
        if file.name.startswith(_SDK_COPY) and file.name.endswith(".go") and file.name not in known:
            message = "is not the SDK's file of this release, and is read like the plugin's own code"
            yield finding(CHECK, "sdk-differs", "medium", message, "`km-client plugin new` copies it", file=file.name)


def _module(
    tree: SourceTree, module: Module, files: list[SourceFile], prefix: str, original: Path | None
) -> Iterator[Finding]:
    if original is None:
        message = f"`{module.path}` {module.version} was not compared with its release: it is not at hand"
        text = f"{module.path} {module.version}"
        yield finding(CHECK, "unverified-module", "medium", message, file=_LIST, text=text)
        return
    for file in files:
        if not _is_same(tree, file, prefix, original):
            message = f"is not the file that `{module.path}` {module.version} was released with"
            yield finding(CHECK, "changed-module", "critical", message, "run `go mod vendor` again", file=file.name)
            if file.name.endswith(".go"):
                for each in go_rules.in_vendored(file, tree):
                    said = f"imports `{each.path}`"
                    yield finding(
                        CHECK, "changed-import", "critical", said, file=file.name, line=each.line, text=each.path
                    )


def _original(module: Module, root: Path, cache: Path | None, sdk: Path | None) -> Path | None:
    if module.path == SDK:
        return sdk
    if module.replaced.startswith("./") and ".." not in module.replaced.split("/"):
        return root / module.replaced  # read as the plugin's own code
    if cache is None or module.replaced.startswith((".", "/")):
        return None
    path, version = (*module.replaced.split(), module.version)[:2] if module.replaced else (module.path, module.version)
    if ".." in f"{path}@{version}".replace("@", "/").split("/"):
        return None
    place = cache / f"{_escaped(path)}@{_escaped(version)}"
    return place if place.is_dir() else None


def _escaped(text: str) -> str:
    """As the module cache spells capital letters: `github.com/!burnt!sushi`."""
    return re.sub(r"[A-Z]", lambda match: f"!{match.group().lower()}", text)


def _owner(file: SourceFile, places: dict[str, Module]) -> str:
    """The longest prefix: a module may lie within another's directory."""
    return max((prefix for prefix in places if file.name.startswith(prefix)), key=len, default="")


def _is_same(tree: SourceTree, file: SourceFile, prefix: str, original: Path) -> bool:
    theirs = original / file.name.removeprefix(prefix)
    try:
        if theirs.is_symlink() or theirs.stat().st_size != file.size:
            return False
        return tree.read(file.name, file.size + 1) == theirs.read_bytes()
    except OSError:
        return False
