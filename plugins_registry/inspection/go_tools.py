"""What Go's own tools say: whether the source loads, what it stands on, and `go vet`.

They run without a network, with `-mod=vendor` and `CGO_ENABLED=0`, so nothing of the submission runs: no cgo, no
generator, no other toolchain. What `go vet` compiles is kept for `trial.py` in a cache of this inspection alone, which
begins as a copy of the standard library that the service compiled (`building.go_std`).
"""

from __future__ import annotations

import json
import platform
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from plugins_registry.building import go_std
from plugins_registry.inspection import box, go_rules
from plugins_registry.inspection.errors import ToolFailedError, ToolMissingError
from plugins_registry.inspection.findings import Finding, finding
from plugins_registry.inspection.inspection import Inspection
from plugins_registry.inspection.source_tree import SourceTree, line_of
from plugins_registry.inspection.vendored import SDK

LIST, VET = "go_list", "go_vet"
_COMPILING = frozenset({"vet", "build"})
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LIMITS = box.Limits(seconds=400.0, memory=4096 * box.MIB, output=32 * box.MIB, file=512 * box.MIB)
_FIELDS = "ImportPath,Standard,Imports,Deps,Module,Error,DepsErrors,CgoFiles,SFiles,SysoFiles,ForTest"
_PLACE = re.compile(r"^(?:vet: )?(?:\./)?([^\s:]+\.go):(\d+):(?:(\d+):)? (.*)$")


def listed(inspection: Inspection) -> Iterator[Finding]:
    """Raises `ToolMissingError`, `ToolFailedError`."""
    finished = run(inspection, ["list", "-e", "-deps", f"-json={_FIELDS}", "./..."])
    packages = list(_objects(finished.stdout.decode(errors="replace")))
    if not packages:
        yield _about("not-loadable", f"`go list` finds no package: {finished.stderr[-300:]}")
        return
    yield from _errors(packages)
    yield from _foreign(packages, inspection)


def vetted(inspection: Inspection) -> Iterator[Finding]:
    """Raises `ToolMissingError`, `ToolFailedError`. What does not compile is reported by `listed` or the build."""
    finished = run(inspection, ["vet", "-trimpath", *_tags(inspection), "./..."])
    tree = SourceTree(inspection.source)
    found = 0
    for line in finished.stderr.split("\n"):
        place = _PLACE.match(line)
        if place and tree.has(place.group(1)):
            found += 1
            name, number, said = place.group(1), int(place.group(2)), place.group(4)
            text = line_of(tree.text(name), number)
            severity = "high" if line.startswith("vet: ") else "low"  # `vet: ` is said of what does not compile
            yield finding(VET, "vet", severity, said, file=name, line=number, text=text)  # type: ignore[arg-type]
    if finished.code and not found:
        message = f"`go vet` cannot compile it: {finished.stderr[-300:]}"
        yield finding(VET, "not-compilable", "high", message, "`go vet -mod=vendor ./...`", text="vet")


def run(inspection: Inspection, arguments: list[str]) -> box.Finished:
    """`go ARGUMENTS` in the source's directory. Raises `ToolMissingError`, `ToolFailedError`."""
    go = inspection.surroundings.go
    if go is None:
        raise ToolMissingError("`go` is not installed")
    root = go.resolve().parent.parent
    compiles = arguments[0] in _COMPILING
    cache = inspection.scratch / ("go-build" if compiles else "go-list")  # apart: what compiles begins with the library
    if compiles and not cache.exists():
        _begin(cache, root, inspection)
    cache.mkdir(exist_ok=True)
    return box.run(
        [str(root / "bin" / "go"), *arguments],
        shows=[inspection.source, root],
        writes=[inspection.scratch],
        directory=inspection.source,
        limits=_LIMITS,
        environment=_environment(root, cache, inspection.source),
    )


def _begin(cache: Path, root: Path, inspection: Inspection) -> None:
    """With the compiled standard library, where there is one."""
    kept = inspection.surroundings.toolchains
    std = go_std.brought(root, _own_platform(), kept, inspection.scratch) if kept else None
    if std is not None:
        with tarfile.open(std.path) as archive:
            archive.extractall(cache, filter=_of_now)  # noqa: S202 - the service's own, and filtered
        std.path.unlink()


def _of_now(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo:
    """Go removes from a cache what is older than five days."""
    return tarfile.data_filter(member, place).replace(mtime=None, deep=False)  # type: ignore[arg-type] # documented


def _own_platform() -> str:
    """As Go names it: `linux-amd64`."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{_ARCHITECTURES.get(machine, machine)}"


def _environment(root: Path, cache: Path, source: Path) -> Mapping[str, str]:
    is_vendored = SourceTree(source).has("vendor/modules.txt")
    return {
        "PATH": f"{root}/bin:/usr/bin:/bin",
        "GOROOT": str(root),
        "GOCACHE": str(cache),
        "GOPATH": "/tmp/go",  # noqa: S108 - the box's own
        "GOFLAGS": "-mod=vendor" if is_vendored else "-mod=mod",
        "GOPROXY": "off",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "GOWORK": "off",
        "GOVCS": "*:off",
        "CGO_ENABLED": "0",
        "GOMAXPROCS": "2",
    }


def _tags(inspection: Inspection) -> list[str]:
    flags = inspection.manifest.build.go_build_flags if inspection.manifest else ()
    return ["-tags", flags[flags.index("-tags") + 1]] if "-tags" in flags[:-1] else []


def _objects(text: str) -> Iterator[dict[str, object]]:
    """JSON values one after the other, as `go list` prints them. Raises `ToolFailedError`."""
    decoder, position = json.JSONDecoder(), 0
    text = text.strip()
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except ValueError as error:
            raise ToolFailedError(f"what `go list` printed is no JSON: {error}") from None
        while position < len(text) and text[position].isspace():
            position += 1
        yield value


def _errors(packages: list[dict[str, object]]) -> Iterator[Finding]:
    for package in packages:
        error = package.get("Error")
        if isinstance(error, dict):
            said = str(error.get("Err", "")).strip()
            yield _about("not-loadable", f"`{package.get('ImportPath')}`: {said[:300]}")


def _foreign(packages: list[dict[str, object]], inspection: Inspection) -> Iterator[Finding]:
    """What is neither Go's, nor the plugin's, nor what the SDK stands on itself."""
    sdk = next((package for package in packages if package.get("ImportPath") == SDK), {})
    known = {SDK, *_strings(sdk.get("Deps"))}
    for package in packages:
        path, module = str(package.get("ImportPath")), package.get("Module")
        is_own = isinstance(module, dict) and bool(module.get("Main"))
        if package.get("Standard") or is_own or path in known or path.startswith(f"{SDK}/"):
            continue
        yield finding(LIST, "dependency", "info", f"stands on `{path}`", file="go.mod", text=path)
        yield from _reaching(path, _strings(package.get("Imports")), inspection)


def _reaching(path: str, imports: list[str], inspection: Inspection) -> Iterator[Finding]:
    permissions = inspection.manifest.permissions if inspection.manifest else None
    for imported in imports:
        capability = go_rules.needed(imported)
        if capability and not getattr(permissions, capability, False):
            message = f"the dependency `{path}` imports `{imported}`, which needs the permission `{capability}`"
            text = f"{path} {imported}"
            yield finding(LIST, f"dependency-{capability}", "medium", message, file="go.mod", text=text)


def _strings(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _about(rule: str, message: str) -> Finding:
    hint = "`go mod vendor`, then `go build -mod=vendor ./...` without a network"
    return finding(LIST, rule, "high", message, hint, file="go.mod", text=message)
