"""What is inspected, and what the machine it is inspected on has to offer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from km_protocol.kmpkg.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`None` is what this machine has not.

    `runner` is the author's `km-client`; `module_cache` a Go module cache of the operator's, to compare vendored
    modules with; `go_sdk` the Go SDK's source; `toolchains` where compiled standard libraries are kept; `go`, `ruff`
    the programs.
    """

    runner: Path | None = None
    module_cache: Path | None = None
    go_sdk: Path | None = None
    toolchains: Path | None = None
    go: Path | None = None
    ruff: Path | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """`source` and `previous` are directories. `manifest` is `None` when there is none that can be read.

    `expected` are the name and the version that the author says it is. `scratch` is for the build cache of this run.
    """

    source: Path
    manifest: Manifest | None
    previous: Path | None
    expected: tuple[str, str] | None
    scratch: Path
    surroundings: Surroundings = field(default_factory=Surroundings)
