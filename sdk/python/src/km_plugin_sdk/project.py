"""Make a new plugin project from a template, and build one.

    create("slow-tools", "python", into=Path("."))      ./slow-tools: builds, tests and runs as it is
    build(Path("slow-tools"))                           the development build, ready for `--plugin slow-tools`

The templates (`sdk/templates`) are working projects called `my-plugin`; `create` copies one and replaces the name. A Go
project also gets a copy of the Go SDK, so that `go build` needs only public modules. A project appears whole or not at
all. Building runs the author's toolchain on the author's machine: it is no sandbox, and publishing does not use it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from km_protocol.kmpkg.manifest import FILE_NAME, Manifest, parse

from km_plugin_sdk.errors import PluginError

Language = Literal["go", "python"]
NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
GO_SDK_DIRECTORY = "kilometers-sdk"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", "*.pyc")
_CHECK_SYNTAX = "import sys; [compile(open(path, 'rb').read(), path, 'exec') for path in sys.argv[1:]]"


class ProjectError(PluginError):
    """A project could not be made or built."""

    code = "project_error"


def create(name: str, language: Language, *, into: Path) -> Path:
    """The new project's directory. Raises `ProjectError` when the name will not do or the directory exists."""
    if not NAME.fullmatch(name) or len(name) > 64:
        raise ProjectError(f"`{name}` is not a plugin's name", "lower-case words joined by `-`, such as `slow-tools`")
    target = into / name
    if not into.is_dir():
        raise ProjectError(f"there is no directory `{into}`", "make it first")
    if target.exists():
        raise ProjectError(f"`{target}` exists already", "choose another name, or remove it")
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=into) as scratch:
        made = Path(scratch) / name
        shutil.copytree(_source("templates") / language, made, ignore=_LEFT_OUT)
        for path in made.rglob("*"):
            if path.is_file():
                _rename(path, name)
        if language == "go":
            _add_go_sdk(made)
            if (made / name).exists():  # where the binary is going to be
                raise ProjectError(f"`{name}` is also the name of a directory in a Go plugin", "choose another name")
        made.rename(target)
    return target


def read_manifest(directory: Path) -> Manifest:
    """The manifest of the plugin in `directory`. Raises `ManifestError`, or `ProjectError` when there is none."""
    path = directory / FILE_NAME
    try:
        return parse(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        hint = f"every plugin has a {FILE_NAME}; `km-client plugin new` makes one"
        raise ProjectError(f"there is no `{path}`", hint) from None


def build(directory: Path, *, reproducibly: bool = False) -> Path:
    """Build for development; returns the file a host starts. Raises `ProjectError` with what the toolchain said.

    `reproducibly`: the same source and toolchain give the same bytes, in any directory and at any commit.
    """
    manifest = read_manifest(directory)
    entry = directory / manifest.entry
    if manifest.runtime == "go":
        _build_go(directory, manifest, _reproducible() if reproducibly else {})
    else:
        _build_python(directory)
    if not entry.is_file():
        raise ProjectError(
            f"`{entry}` does not exist", f"the manifest's `entry` says it starts with `{manifest.entry}`"
        )
    return entry


def go_build_command(manifest: Manifest) -> list[str]:
    """`go build` with the manifest's own flags (all of them allowed ones), or none when it wants debug symbols."""
    flags = ("-gcflags", "all=-N -l") if manifest.build.debug_symbols else manifest.build.go_build_flags
    return ["go", "build", *flags, "-o", manifest.entry, "."]


def _reproducible() -> dict[str, str]:
    """No paths of this machine, no commit, nothing of its C compiler; what the manifest asks for comes on top."""
    return {"CGO_ENABLED": "0", "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -trimpath -buildvcs=false".strip()}


def _build_go(directory: Path, manifest: Manifest, environment: Mapping[str, str]) -> None:
    if shutil.which("go") is None:
        raise ProjectError("there is no `go` on PATH", "install Go 1.24 or newer")
    _run(go_build_command(manifest), directory, environment)


def _build_python(directory: Path) -> None:
    """Every file compiles; what `requirements.txt` names is installed into `site/`, where the launcher looks."""
    own = [path for path in sorted(directory.rglob("*.py")) if "site" not in path.relative_to(directory).parts]
    _run([sys.executable, "-I", "-c", _CHECK_SYNTAX, *(str(path.relative_to(directory)) for path in own)], directory)
    if (directory / "requirements.txt").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
        _run([*pip, "--target", "site", "--requirement", "requirements.txt"], directory)


def _run(command: list[str], directory: Path, environment: Mapping[str, str] | None = None) -> None:
    variables = os.environ | (environment or {})
    done = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise ProjectError(f"`{' '.join(command[:3])} …` failed (exit {done.returncode}):\n{said}")


def _rename(path: Path, name: str) -> None:
    class_name = "".join(word.capitalize() for word in name.split("-"))
    if not class_name.endswith("Plugin") or class_name == "Plugin":  # which is the SDK's own class
        class_name += "Plugin"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("my-plugin", name).replace("MyPlugin", class_name), encoding="utf-8")


def _add_go_sdk(project: Path) -> None:
    ignored = shutil.ignore_patterns("*_test.go", "__pycache__")
    shutil.copytree(_source("go"), project / GO_SDK_DIRECTORY, ignore=ignored)
    module = project / "go.mod"
    module.write_text(module.read_text().replace("=> ../../go", f"=> ./{GO_SDK_DIRECTORY}"))


def _source(name: str) -> Path:
    """`templates` or `go`: inside the installed package, or in the checkout this file belongs to."""
    package = Path(__file__).resolve().parent
    for candidate in (package / name, package.parents[2] / name):
        if candidate.is_dir():
            return candidate
    raise ProjectError(f"this installation of km-plugin-sdk has no `{name}`", "install it again, from its wheel")
