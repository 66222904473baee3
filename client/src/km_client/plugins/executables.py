"""What kind of program a file is, from its first bytes: can this machine run it, and what does it need to start?

Follows elf(5). Only Linux programs are looked into; elsewhere the system's own loader decides.
"""

from __future__ import annotations

import os
import platform
import struct
import sys
from pathlib import Path

from km_client.plugins.errors import RefusedError

_MACHINES = {62: "x86_64", 183: "aarch64", 3: "i386", 40: "arm", 243: "riscv64", 22: "s390x", 21: "ppc64"}
_PT_INTERP = 3
_FOREIGN = {
    b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "a macOS program",
    b"MZ": "a Windows program",
    b"#!": "a script",
}


def check(path: Path) -> Path | None:
    """The dynamic loader the program asks for, or None for a static one. Raises `RefusedError`."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        hint = f"build it: `km-client plugin build {path.parent}`"
        raise RefusedError("program_missing", f"the plugin's program `{path}` {what}", hint)
    if not os.access(path, os.X_OK):
        raise RefusedError("program_not_executable", f"`{path}` is not executable", f"`chmod +x {path}`")
    return _loader(path) if sys.platform == "linux" else None


def _loader(path: Path) -> Path | None:
    with path.open("rb") as file:
        header = file.read(64)
        if header[:4] != b"\x7fELF" or len(header) < 64:
            raise _foreign(path, header)
        machine = _MACHINES.get(struct.unpack_from("<H", header, 18)[0], "another machine")
        if header[4] != 2 or header[5] != 1 or machine != platform.machine():
            message = f"`{path}` was built for {machine}; this machine is {platform.machine()}"
            raise RefusedError("program_architecture", message, "build it here, or set GOARCH")
        offset, size, count = *struct.unpack_from("<Q", header, 32), *struct.unpack_from("<HH", header, 54)
        for index in range(min(count, 64)):
            file.seek(offset + index * size)
            kind, _, start, _, _, length = struct.unpack("<IIQQQQ", file.read(40).ljust(40, b"\0"))
            if kind == _PT_INTERP:
                file.seek(start)
                return Path(os.fsdecode(file.read(min(length, 4096)).split(b"\0")[0]))
    return None


def _foreign(path: Path, header: bytes) -> RefusedError:
    kind = next((name for magic, name in _FOREIGN.items() if header.startswith(magic)), "not a program")
    return RefusedError("program_architecture", f"`{path}` is {kind}", "a Go plugin is a binary built for this machine")
