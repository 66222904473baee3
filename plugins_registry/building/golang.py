"""A Go plugin's payload: one static program, the same for everybody until its customer slot is filled.

    CGO_ENABLED=0 go build -trimpath -buildvcs=false -mod=vendor -ldflags "-s -w -buildid=" -o /out/… .

The toolchain is this machine's, read-only; modules come from the source's own `vendor/`, the cache is the box's and new
each time. The manifest's flags are those it may ask for (`build_flags`); what makes a build reproducible comes last.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from km_protocol.kmpkg.manifest import Manifest

from plugins_registry.building.box import Job, Surroundings
from plugins_registry.building.errors import BuildError, SourceRefused
from plugins_registry.building.recipes import Component, Files, Recipe
from plugins_registry.building.sources import Unpacked

GOROOT = "/usr/local/go"
_OUTPUT = "program"
_ALWAYS = "-s -w -buildid="
_VENDORED = re.compile(r"^# (\S+) (v\S+)(?: => .*)?$", re.MULTILINE)
_LEVELS = {"amd64": {"GOAMD64": "v1"}, "arm64": {"GOARM64": "v8.0"}}


def recipe(source: Unpacked, platform: str, goroot: Path | None = None) -> Recipe:
    """Raises `SourceRefused`, or `BuildError` where there is no Go."""
    if not source.has("go.mod"):
        raise SourceRefused("a Go plugin's source has a `go.mod` at its top", "`go mod init` makes one")
    toolchain = goroot or find_toolchain()
    environment = _environment(platform, vendored=source.has("vendor/modules.txt"))
    command = [f"{GOROOT}/bin/go", "build", *flags(source.manifest), "-o", f"/out/{_OUTPUT}", "."]

    def job(around: Surroundings) -> Job:
        mounts = {around.source: source.directory}
        if toolchain != Path(GOROOT):  # or it is there already, with all of /usr
            mounts[GOROOT] = toolchain
        return Job(command, mounts, environment, around)

    def collect(files: Files) -> Files:
        if set(files) != {_OUTPUT}:
            raise BuildError("the build left no program", "the source's top must be `package main`")
        return {source.manifest.entry: files[_OUTPUT]}

    return Recipe(job, collect, {"go": _version(toolchain)}, environment, _components(source, toolchain))


def flags(manifest: Manifest) -> list[str]:
    """The manifest's, and after them ours, which win."""
    given = iter(manifest.build.go_build_flags)
    linker, others = [], []
    for flag in given:
        name, equals, value = flag.replace("--", "-", 1).partition("=")
        if name not in {"-ldflags", "-gcflags", "-tags"}:
            continue  # -trimpath, which is given anyway
        value = (value if equals else next(given, "")).strip("'\"")
        if name == "-ldflags":
            linker.append(value)
        else:
            others += [f"{name}={value}"]
    return ["-trimpath", "-buildvcs=false", *others, f"-ldflags={' '.join([*linker, _ALWAYS])}"]


@cache
def find_toolchain() -> Path:
    """Where Go is on this machine. Raises `BuildError`."""
    program = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if program is None:
        raise BuildError("there is no Go on this machine", "install Go 1.24 or newer where Go plugins are built")
    done = subprocess.run([program, "env", "GOROOT"], capture_output=True, text=True, check=True, timeout=30)
    return Path(done.stdout.strip())


def _version(toolchain: Path) -> str:
    return (toolchain / "VERSION").read_text(encoding="utf-8").splitlines()[0].removeprefix("go")


def _environment(platform: str, *, vendored: bool) -> dict[str, str]:
    system, architecture = platform.split("-")
    return {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOARCH": architecture,
        "GOCACHE": "/tmp/cache",  # noqa: S108 - within the box
        "GOENV": "off",
        "GOFLAGS": "-mod=vendor" if vendored else "-mod=readonly",
        "GOOS": system,
        "GOPATH": "/tmp/go",  # noqa: S108
        "GOPROXY": "off",
        "GOROOT": GOROOT,
        "GOSUMDB": "off",
        "GOTELEMETRY": "off",
        "GOTOOLCHAIN": "local",
        **_LEVELS[architecture],
    }


def _components(source: Unpacked, toolchain: Path) -> tuple[Component, ...]:
    """What `vendor/modules.txt` lists, and the standard library."""
    standard = Component("std", _version(toolchain), "pkg:golang/std")
    if not source.has("vendor/modules.txt"):
        return (standard,)
    text = (source.directory / "vendor" / "modules.txt").read_text(encoding="utf-8")
    found: dict[str, str] = dict(_VENDORED.findall(text))
    return (standard, *(Component(name, found[name], f"pkg:golang/{name}") for name in sorted(found)))
