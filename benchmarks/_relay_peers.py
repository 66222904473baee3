"""The monitors of other people that `relay` is measured beside: which, pinned, and how each is told to record.

Each has a virtual environment of its own under the user's cache, made on first use from the package registry. One that
cannot be installed or does not relay is reported with its error and measured no further.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

INSTALL_SECONDS = 300


@dataclass(frozen=True)
class Peer:
    """A package, and the command line with which it wraps a server and keeps a full record, from its own help."""

    package: str
    version: str
    program: str
    arguments: tuple[str, ...]  # `{directory}` is where it may write

    def command(self, directory: Path) -> list[str]:
        """The command to put before the server's. Raises `PeerError` if the peer cannot be installed."""
        arguments = [argument.format(directory=directory) for argument in self.arguments]
        return [str(self._installed() / "bin" / self.program), *arguments]

    def _installed(self) -> Path:
        environment = _cache() / f"{self.package}-{self.version}"
        done = environment / ".installed"
        if not done.exists():
            print(f"installing {self.package} {self.version} …", file=sys.stderr, flush=True)
            venv.create(environment, with_pip=True, clear=True)
            install = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            install.append(f"{self.package}=={self.version}")
            run = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
            if run.returncode:
                raise PeerError(f"cannot be installed: {run.stderr.strip().splitlines()[-1]}")
            done.touch()
        return environment


class PeerError(Exception):
    """Why a peer cannot be measured."""


PEERS = (
    Peer("mcp-snoop", "0.1.0", "mcp-snoop", ("--output", "{directory}/trace.log", "--")),
    Peer("greenlight-mcp", "0.7.0", "greenlight", ("run", "--log-dir", "{directory}", "--capture-payloads", "--")),
    Peer("mcphawk", "1.0.0", "mcphawk", ("wrap", "--")),  # it writes below HOME
    Peer("glassport", "0.8.0", "glassport", ("wrap", "--log-dir", "{directory}", "--")),
)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kilometers-bench"
