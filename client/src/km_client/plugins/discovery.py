"""From `--plugin PATH` to what is started: the manifest, the program, and what it needs to run.

    ./my-plugin/             a directory with `manifest.json`, and its entry (a Go binary, or a Python file)
    ./my-plugin/my-plugin    a Go binary with `manifest.json` beside it
    ./km-plugin-….kmpkg      an unsigned development package, which is unpacked to the client's own directory first

Nothing is started here, and nothing but that directory is changed.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from km_protocol.errors import ManifestError
from km_protocol.kmpkg import manifest as manifests
from km_protocol.kmpkg import package
from km_protocol.kmpkg.manifest import Manifest, Permissions
from km_protocol.kmpkg.versions import Version

from km_client import __version__
from km_client.plugins import executables, packages
from km_client.plugins.errors import RefusedError
from km_client.plugins.package_store import Hold
from km_client.plugins.sandbox.files import LIBRARIES, LOADER_CACHE

# What a Python plugin may import without bringing it along.
_PROVIDED = ("km_plugin_sdk", "km_protocol", "grpclib", "google.protobuf")
# What is imported for it before it is confined. Unless it brings one of these packages, or a module with the name of
# one of the standard library's: then everything is imported when the plugin asks, from where it finds it first.
PRELOADED = frozenset({"google", "grpclib", "h2", "hpack", "hyperframe", "km_plugin_sdk", "km_protocol", "msgspec"})
PRELOADED |= {"multidict", "typing_extensions"}

Origin = Literal["directory", "binary", "package", "registry"]
ORIGIN_WORDS: dict[Origin, str] = {
    "directory": "a directory, for development",
    "binary": "a program, for development",
    "package": "an unsigned development package",
    "registry": "installed from the registry: reviewed, signed, and compared before every start",
}


@dataclass(frozen=True, slots=True)
class PythonStart:
    """What the launcher runs in its own interpreter; see launcher/python.py."""

    entry: str
    site: str
    provided: tuple[str, ...]
    preload: bool


@dataclass(frozen=True, slots=True)
class PluginSpec:
    """A plugin as it lies on disk, checked. `own`, `runs`, `reads`: what the sandbox must leave open.

    `path` is what was asked for, and `origin` what that is. A package's files lie elsewhere, and stay there for as long
    as the spec lives. `before_start` is called before each start, and raises `RefusedError` when there must be none.
    """

    manifest: Manifest
    path: Path
    program: Path
    arguments: tuple[str, ...]
    own: tuple[Path, ...]
    runs: tuple[Path, ...] = ()
    reads: tuple[Path, ...] = ()
    mutual_tls: bool = False
    python: PythonStart | None = None
    origin: Origin = "directory"
    signed: bool = False  # no kind of plugin that is found here is
    before_start: Callable[[], None] | None = field(default=None, compare=False, repr=False)
    hold: Hold | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def permissions(self) -> Permissions:
        return self.manifest.permissions


def find(path: Path, *, private: tuple[Path, ...] = ()) -> PluginSpec:
    """`private`: directories no plugin may contain (where the API key lies). Raises `RefusedError`."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 - without following links, which `resolve` would
    if path.suffix == package.SUFFIX and not path.is_dir():
        return _in_package(path, private)
    directory = path if path.is_dir() else path.parent
    manifest = _read_manifest(path, directory)
    entry = path if path != directory else directory / manifest.entry
    own = (directory,) if path == directory else (entry, directory / manifests.FILE_NAME)
    _keep_apart(own, private)
    _check_compatibility(manifest)
    if manifest.runtime == "python":
        return _python(manifest, path, directory / manifest.entry, (directory,))
    loader = executables.check(entry)
    runs, reads = _dynamic(loader)
    origin: Origin = "directory" if path == directory else "binary"
    return PluginSpec(manifest, path, entry, (str(entry),), own, runs, reads, origin=origin)


def _in_package(path: Path, private: tuple[Path, ...]) -> PluginSpec:
    unpacked = packages.unpack(path, into=packages.unpacked_dir())
    try:
        spec = find(unpacked.directory, private=private)
    except RefusedError as error:
        raise RefusedError(error.code, f"`{path}`: {error}", error.hint) from None
    return replace(spec, path=path, origin="package", hold=unpacked.hold)


def _read_manifest(path: Path, directory: Path) -> Manifest:
    if not path.exists():
        raise RefusedError("plugin_missing", f"there is no plugin at `{path}`", "give a directory or a binary")
    file = directory / manifests.FILE_NAME
    try:
        return manifests.parse(file.read_bytes())
    except FileNotFoundError:
        message = f"`{directory}` has no `{manifests.FILE_NAME}`"
        raise RefusedError("manifest_missing", message, "`km-client plugin new` makes a plugin that has one") from None
    except ManifestError as error:
        raise RefusedError("manifest_invalid", f"`{file}`: {error}", error.hint) from None


def _check_compatibility(manifest: Manifest) -> None:
    """Its range of Go versions is the build's business."""
    wanted, plugin = manifest.compatibility, f"{manifest.name} {manifest.version}"
    if not wanted.kilometers_cli.contains(Version.parse(__version__)):
        message = f"{plugin} is made for km-client {wanted.kilometers_cli.text}; this is km-client {__version__}"
        raise RefusedError("cli_incompatible", message, "use a version of the plugin that is made for this km-client")
    python = platform.python_version()
    if manifest.runtime == "python" and not wanted.python_version.contains(Version.parse(python)):
        message = f"{plugin} is made for Python {wanted.python_version.text}; km-client runs on Python {python}"
        raise RefusedError("python_incompatible", message, "install km-client with a Python that fits")


def _keep_apart(own: tuple[Path, ...], private: tuple[Path, ...]) -> None:
    for place in own:
        for secret in private:
            if secret.resolve().is_relative_to(place.resolve()):
                message = f"the plugin's directory `{place}` contains Kilometers' own `{secret}`"
                raise RefusedError("plugin_place", message, "put the plugin in a directory of its own")


def _dynamic(loader: Path | None) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """What a dynamically linked program runs and reads; nothing for a static one."""
    if loader is None:
        return (), ()
    return (loader,), tuple(Path(path) for path in (*LIBRARIES, LOADER_CACHE))


def _python(manifest: Manifest, path: Path, entry: Path, own: tuple[Path, ...]) -> PluginSpec:
    """Run by the interpreter that runs us, isolated, without `site`."""
    if not entry.is_file():
        raise RefusedError(
            "program_missing", f"the plugin's file `{entry}` does not exist", "see `entry` in its manifest"
        )
    interpreter = Path(sys.executable).resolve()
    loader, libraries = _dynamic(executables.check(interpreter))
    site, provided = entry.parent / "site", _provided()
    reads = (*libraries, Path(sysconfig.get_path("stdlib")), *_shared_library(), *provided)
    replaces = _names(entry.parent) | _names(site)
    preload = not replaces & (PRELOADED | sys.stdlib_module_names)
    start = PythonStart(str(entry), str(site), tuple(map(str, provided)), preload)
    return PluginSpec(manifest, path, interpreter, (), own, (interpreter, *loader), reads, python=start)


def _names(directory: Path) -> set[str]:
    """The modules and packages that can be imported from it."""
    if not directory.is_dir():
        return set()
    return {
        found.name.partition(".")[0]
        for found in directory.iterdir()
        if (found.suffix in {".py", ".pyc", ".so"} or found.is_dir()) and found.name != "site"
    }


def _shared_library() -> list[Path]:
    """`libpython3.x.so`, where the interpreter is built on one."""
    directory, name = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME")
    return [Path(directory) / name] if directory and name else []


def _provided() -> list[Path]:
    """The directories the provided packages are imported from: site-packages, and source trees in a checkout."""
    found: dict[Path, None] = {}
    for name in _PROVIDED:
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations if spec else None) or []:
            found[Path(place).parents[name.count(".")]] = None
    return list(found)
