"""Other people's programs that ours is measured beside: each in a virtual environment of its own, kept under the user's
cache, made on first use from the package registry. Versions are pinned, so that figures can be compared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

INSTALL_SECONDS = 600


class PeerError(Exception):
    """Why a peer cannot be measured."""


def programs(package: str, version: str) -> Path:
    """The directory of its programs, installed. Raises `PeerError` if that cannot be."""
    environment = _cache() / f"{package}-{version}"
    done = environment / ".installed"
    if not done.exists():
        print(f"installing {package} {version} …", file=sys.stderr, flush=True)
        venv.create(environment, with_pip=True, clear=True)
        install = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", f"{package}=={version}"]
        run = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if run.returncode:
            raise PeerError(f"cannot be installed: {run.stderr.strip().splitlines()[-1]}")
        done.touch()
    return environment / "bin"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kilometers-bench"
