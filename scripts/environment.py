"""Make `.venv` hold exactly what `requirements/<which>.txt` pins, and this repository's own packages beside it.

    $ python3 scripts/environment.py demo
    Setting up .venv for `demo` (once; about a minute) …

Guarantees: every package from a registry is checked against its pinned hash; a second run changes nothing and takes
milliseconds; two runs at once wait for each other; an interrupted run is completed by the next one. Standard library
only, because it runs before anything is installed. Progress goes to stderr.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# A larger set pins the same versions, so having it is enough.
SATISFIED_BY = {"client": ("demo", "dev"), "server": ("demo", "dev"), "demo": ("dev",), "dev": ()}
PACKAGES = ("protocol", "sdk/python", "client", "review")


class SetupError(Exception):
    """What stops the set-up, in words for the person who started it."""


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in SATISFIED_BY:
        print(f"usage: environment.py {'|'.join(SATISFIED_BY)}", file=sys.stderr)
        return 2
    try:
        ensure(sys.argv[1])
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def ensure(which: str) -> None:
    """Install `which` unless it is installed already."""
    if is_installed(which):
        return
    with _lock():
        if not is_installed(which):  # another run may have finished it while this one waited
            _install(which)


def is_installed(which: str) -> bool:
    """Whether `which`, or a set that contains it, is installed as the requirements say now."""
    return any(_stamp(name) == _fingerprint(name) for name in (which, *SATISFIED_BY[which]))


def _install(which: str) -> None:
    print(f"Setting up .venv for `{which}` (once; about a minute) …", file=sys.stderr, flush=True)
    for stamp in VENV.glob(".installed-*"):
        stamp.unlink()
    _make_venv()
    _pip("install", "--require-hashes", "--requirement", f"requirements/{which}.txt")
    editables = [argument for name in PACKAGES for argument in ("--editable", f"./{name}")]
    if which in ("demo", "dev"):
        _pip("install", "--no-deps", "--no-build-isolation", *editables)
    _stamp_path(which).write_text(_fingerprint(which))


def _make_venv() -> None:
    """A new `.venv`, or the one there is when it works: one that was moved or lost its Python is made again."""
    if _is_usable():
        return
    if importlib.util.find_spec("ensurepip") is None:
        _install_debian_venv()
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=False, stdout=sys.stderr)
    if done.returncode:
        raise SetupError(f"`{sys.executable} -m venv` failed (exit {done.returncode}); its message is above")


def _install_debian_venv() -> None:
    """Debian ships Python without the part that makes environments. Raises `SetupError` where it cannot be added."""
    package = f"python3.{sys.version_info.minor}-venv"
    if not Path("/etc/debian_version").exists() or os.geteuid() != 0:
        raise SetupError(
            f"{sys.executable} cannot make virtual environments (no `ensurepip`)\n"
            f"  hint: on Debian and Ubuntu `apt install {package}`, then run this again"
        )
    print(f"Installing {package} by apt …", file=sys.stderr, flush=True)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        done = subprocess.run(["apt-get", *arguments], env=quiet, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SetupError(f"`apt-get {' '.join(arguments)}` failed: {done.stderr.strip()[-500:]}")


def _is_usable() -> bool:
    """Its Python starts, has pip, and knows itself under this path."""
    probe = "import pip, sys; sys.exit(sys.version_info < (3, 11)); "
    if not PYTHON.exists() or subprocess.run([PYTHON, "-c", probe], check=False, capture_output=True).returncode:
        return False
    shebang = (VENV / "bin" / "pip").read_bytes().splitlines()[0]
    return str(VENV).encode() in shebang


def _pip(*arguments: str) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-color")
    done = subprocess.run(
        [PYTHON, "-m", "pip", *arguments, *quiet], cwd=ROOT, check=False, text=True, stdout=sys.stderr
    )
    if done.returncode:
        raise SetupError(
            f"`pip {' '.join(arguments[:4])} …` failed (exit {done.returncode}); its message is above\n"
            "  hint: a package registry must be reachable; pip's own settings (index, proxy, certificate) are honoured"
        )


@contextmanager
def _lock() -> Iterator[None]:
    """Held by one set-up at a time; the kernel lets go of it when its holder dies."""
    directory = ROOT / "var"
    directory.mkdir(exist_ok=True)
    with (directory / "environment.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another run is setting up .venv: waiting for it …", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp_path(which: str) -> Path:
    return VENV / f".installed-{which}"


def _stamp(which: str) -> str:
    path = _stamp_path(which)
    return path.read_text() if path.exists() and PYTHON.exists() else ""


def _fingerprint(which: str) -> str:
    """Changes when the pins, this repository's packages' metadata, or its place on disk change."""
    digest = hashlib.sha256(os.fsencode(ROOT))
    for path in (f"requirements/{which}.txt", *(f"{name}/pyproject.toml" for name in PACKAGES)):
        digest.update((ROOT / path).read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
