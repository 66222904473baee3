"""A Go plugin's payload: one static program, the same for everybody until its customer slot is filled.

    CGO_ENABLED=0 go build -trimpath -buildvcs=false -mod=vendor -ldflags "-s -w -buildid=" -o /out/… .

The toolchain is this machine's, read-only; modules come from the source's own `vendor/`. The cache is the box's and new
each time: it begins with the standard library as the service compiled it (`go_std`), or with nothing. The manifest's
flags are those it may ask for (`build_flags`); what makes a build reproducible comes last.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from km_protocol.kmpkg.manifest import Manifest
from km_protocol.kmpkg.provenance import Digests, Resource

from plugins_registry.building.box import Job, Surroundings
from plugins_registry.building.errors import BuildError, SourceRefused
from plugins_registry.building.recipes import Component, Files, Recipe
from plugins_registry.building.sources import Unpacked

GOROOT = "/usr/local/go"
_OUTPUT = "program"
_STD = "/go-std.tar"
_UNPACK = f'mkdir -p "$GOCACHE" && tar --extract --touch --file={_STD} --directory="$GOCACHE" && exec "$@"'
_BEGIN_WITH_STD = ("/bin/sh", "-c", _UNPACK, "build")
_ALWAYS = "-s -w -buildid="
_VENDORED = re.compile(r"^# (\S+) (v\S+)(?: => .*)?$", re.MULTILINE)
_LEVELS = {"amd64": {"GOAMD64": "v1"}, "arm64": {"GOARM64": "v8.0"}}


@dataclass(frozen=True, slots=True)
class Std:
    """The compiled standard library: `path` is a build's own copy, a tar archive of a Go build cache."""

    path: Path
    sha256: str


def recipe(source: Unpacked, platform: str, toolchain: Path, std: Std | None = None) -> Recipe:
    """Raises `SourceRefused`."""
    if not source.has("go.mod"):
        raise SourceRefused("a Go plugin's source has a `go.mod` at its top", "`go mod init` makes one")
    environment = environment_of(platform, vendored=source.has("vendor/modules.txt"))
    command = [f"{GOROOT}/bin/go", "build", *flags(source.manifest), "-o", f"/out/{_OUTPUT}", "."]
    shown = mounts_of(toolchain)
    materials = []
    if std is not None:
        command, shown[_STD] = [*_BEGIN_WITH_STD, *command], std.path
        materials.append(Resource(f"std, compiled for {platform}", Digests(std.sha256)))

    def job(around: Surroundings) -> Job:
        return Job(command, {around.source: source.directory, **shown}, environment, around)

    def collect(files: Files) -> Files:
        if set(files) != {_OUTPUT}:
            raise BuildError("the build left no program", "the source's top must be `package main`")
        return {source.manifest.entry: files[_OUTPUT]}

    tools, components = {"go": version(toolchain)}, _components(source, toolchain)
    return Recipe(job, collect, tools, environment, components, tuple(materials))


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


def mounts_of(toolchain: Path) -> dict[str, Path]:
    """What a box must be shown for `GOROOT` to be the toolchain: nothing where it is there with all of /usr."""
    return {} if toolchain == Path(GOROOT) else {GOROOT: toolchain}


def version(toolchain: Path) -> str:
    """As in `1.26.8`."""
    return (toolchain / "VERSION").read_text(encoding="utf-8").splitlines()[0].removeprefix("go")


def environment_of(platform: str, *, vendored: bool) -> dict[str, str]:
    """Go's own settings, none of which a submission has a say in."""
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
    standard = Component("std", version(toolchain), "pkg:golang/std")
    if not source.has("vendor/modules.txt"):
        return (standard,)
    text = (source.directory / "vendor" / "modules.txt").read_text(encoding="utf-8")
    found: dict[str, str] = dict(_VENDORED.findall(text))
    return (standard, *(Component(name, found[name], f"pkg:golang/{name}") for name in sorted(found)))
