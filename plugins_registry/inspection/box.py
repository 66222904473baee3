"""Run a program over untrusted files: no network, no files but those it is shown, no more of the machine than allowed.

    run([python, "-I", "-m", "bandit", …], shows=[source, *runtime], limits=Limits(seconds=60))
    → Finished(code=0, stdout=b'{"errors": …', stderr="", seconds=0.8)

With bubblewrap the program has namespaces of its own: files are where they are outside, read-only, and everything else
is absent. Where bubblewrap is missing or not permitted it is a child with resource limits only, which is enough for
programs that parse; `isolated=True` refuses to go on then. Either way it has a clean environment, a wall clock, a cap
on what it may print, and is killed with all its children before this returns.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from plugins_registry import process_memory
from plugins_registry.inspection.errors import ToolFailedError, ToolMissingError

MIB = 1024 * 1024
_ADDRESS_SPACE = 32 * 1024 * MIB  # Go and Rust reserve far more than they use; `memory` is what counts
_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")
_TAIL_BYTES = 2000
_USER = "1000"
_LOOK_SECONDS = 0.25  # at the memory all of it holds
_GONE_SECONDS = 5.0  # until the kernel has taken down a process namespace: milliseconds


@dataclass(frozen=True, slots=True)
class Limits:
    """In bytes, but `seconds`. For one process each, but `seconds`, `output` and `together`, which are for all."""

    seconds: float = 60.0  # the slowest check of a large plugin takes 20
    memory: int = 2048 * MIB
    together: int = 4096 * MIB  # of memory; `go vet` from an empty cache holds 1 GiB
    output: int = 16 * MIB
    file: int = 64 * MIB
    scratch: int = 512 * MIB  # of /tmp, which is in memory


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    stdout: bytes
    stderr: str
    seconds: float


def run(  # noqa: PLR0913 - what a box is made of
    command: Sequence[str],
    *,
    shows: Sequence[Path],
    directory: Path,
    limits: Limits | None = None,
    writes: Sequence[Path] = (),
    lays: Mapping[str, Path] | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    isolated: bool = False,
) -> Finished:
    """Raises `ToolMissingError`, `ToolFailedError` (too long, too much output, killed by a signal).

    `lays`: files to be found at other places than they have outside, where there are namespaces.
    """
    limits = limits or Limits()
    if isolated and not has_namespaces():
        raise ToolMissingError("bubblewrap is not installed, or this system does not let it make namespaces")
    boxed = [*_limiting(limits), *_enclosing(shows, writes, directory, limits.scratch, lays or {}), *command]
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", **(environment or {})}  # noqa: S108 - the box's own
    started = time.monotonic()
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            boxed,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=directory,
            env=variables,
            start_new_session=True,
        )
        try:
            stdout, stderr = _collect(process, limits, started + limits.seconds)
        finally:
            _end(process)
    name = Path(command[0]).name
    if process.returncode < 0 or process.returncode > 128:
        number = -process.returncode if process.returncode < 0 else process.returncode - 128
        raise ToolFailedError(f"`{name}` was ended by signal {number}: {_tail(stderr)}")
    return Finished(process.returncode, stdout, _tail(stderr), time.monotonic() - started)


@cache
def has_namespaces() -> bool:
    """Whether bubblewrap is here and may do what it is for."""
    if shutil.which("bwrap") is None:
        return False
    tried = [*_namespaces(MIB), "--chdir", "/", "--", "/bin/true"]
    return subprocess.run(tried, capture_output=True, check=False, timeout=20).returncode == 0


def _limiting(limits: Limits) -> list[str]:
    program = shutil.which("prlimit")
    if program is None:
        raise ToolMissingError("`prlimit` (util-linux) is not installed")
    cpu = int(limits.seconds * 2) + 1  # two processors for the whole time; the wall clock ends it first
    values = {"core": 0, "cpu": cpu, "data": limits.memory, "as": _ADDRESS_SPACE, "fsize": limits.file, "nofile": 1024}
    return [program, *(f"--{name}={value}" for name, value in values.items()), "--"]


def _enclosing(
    shows: Sequence[Path], writes: Sequence[Path], directory: Path, scratch: int, lays: Mapping[str, Path]
) -> list[str]:
    if not has_namespaces():
        return []
    words = _namespaces(scratch)
    for path in dict.fromkeys(shows):
        words += ["--ro-bind", str(path), str(path)]
    for inside, path in lays.items():
        words += ["--ro-bind", str(path), inside]
    for path in writes:
        words += ["--bind", str(path), str(path)]
    return [*words, "--chdir", str(directory), "--"]


def _namespaces(scratch: int) -> list[str]:
    words = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--uid", _USER, "--gid", _USER]  # nobody special: as root it could make no namespace of its own in there
    words += ["--hostname", "checks", "--proc", "/proc", "--dev", "/dev", "--size", str(scratch), "--tmpfs", "/tmp"]  # noqa: S108
    for path in filter(os.path.exists, _SYSTEM):
        words += ["--ro-bind", path, path]
    return words


def _collect(process: subprocess.Popen[bytes], limits: Limits, deadline: float) -> tuple[bytes, bytes]:
    said = {pipe: bytearray() for pipe in (process.stdout, process.stderr) if pipe is not None}
    look_at = time.monotonic() + _LOOK_SECONDS
    name = str(process.args[-1] if isinstance(process.args, str) else "the program")
    with selectors.DefaultSelector() as selector:
        for pipe in said:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            if time.monotonic() >= look_at:
                _check_memory(process.pid, name, limits)
                look_at = time.monotonic() + _LOOK_SECONDS
            ready = selector.select(max(0.0, min(deadline, look_at) - time.monotonic()))
            if not ready and time.monotonic() >= deadline:
                raise ToolFailedError(f"{name} took longer than {limits.seconds:g} s")
            for key, _ in ready:
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                said[key.fileobj] += chunk  # type: ignore[index] # registered above
            if sum(map(len, said.values())) > limits.output:
                raise ToolFailedError(f"{name} printed more than {limits.output:,} bytes")
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise ToolFailedError(f"{name} took longer than {limits.seconds:g} s") from None
    stdout, stderr = (bytes(text) for text in said.values())
    return stdout, stderr


def _check_memory(pid: int, name: str, limits: Limits) -> None:
    held = process_memory.held_by(pid, suspicious=limits.together)
    if held > limits.together:
        raise ToolFailedError(
            f"{name} and what it started held {held:,} bytes of memory; {limits.together:,} are allowed"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """With the whole group; bubblewrap's end is the end of everything in its process namespace."""
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # what closed its output is not seen to end
        process.communicate(timeout=_GONE_SECONDS)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _tail(text: bytes) -> str:
    return text[-_TAIL_BYTES:].decode(errors="backslashreplace").strip()
