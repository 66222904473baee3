"""Runs an untrusted program in a box: no network, no files of this machine but the toolchain, no way to stay.

    ran = run(Job(["go", "build", …], {"/src": source}), output)
    ran.exit_code, ran.log          0, "…": what it printed; what it left in /out is a tar archive in `output`

bubblewrap gives it namespaces of its own (user, process, network, mount, IPC, host name), no capability and a user that
is nobody, outside as well: a service that runs as root steps down first. /out, /tmp and everything else that can be
written to is memory of a fixed size, so nothing it writes lies on a disk of ours, and nothing is left when it ends.
Its output comes through a pipe, under a cap; the archive is as untrusted as the program (see `outputs`).
The first process is the box's init: when it ends, or is killed after `wall_seconds`, the kernel ends all of them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from plugins_registry import process_memory
from plugins_registry.building.errors import BuildError, LimitExceeded, NoSandbox

_MIB = 1024 * 1024
NOBODY = 65534
_SEARCH = "/usr/local/bin:/usr/bin:/bin"
_CHUNK_BYTES = 256 * 1024
_PRLIMIT = "/usr/bin/prlimit"
_INSTALL = "install bubblewrap (`apt-get install bubblewrap`) and allow unprivileged user namespaces"
LOOK_SECONDS = 0.25  # at the memory all processes hold: in that time two processors fill about 1 GiB
END_SECONDS = 5.0  # from the kill of the box's init until bubblewrap has seen it; milliseconds on an idle machine
# The program's own words go to the log; when it has succeeded, what lies in /out goes to stdout.
_SCRIPT = '"$@" >&2 || exit $?; exec tar --create --sort=name --format=gnu --file=- --directory=/out .'


@dataclass(frozen=True, slots=True)
class Limits:
    """What a build may use. A cold `go build` of a gRPC plugin takes 40 s on 2 cores, and 1 GiB of cache in /tmp."""

    wall_seconds: float = 600.0
    cpu_seconds: int = 900  # of one process
    address_space: int = 16 * 1024 * _MIB  # of one process; Go's runtime reserves far more than it uses
    file_bytes: int = 256 * _MIB
    tmp_bytes: int = 1536 * _MIB
    out_bytes: int = 192 * _MIB
    processes: int = 512  # threads count
    memory: int = 4096 * _MIB  # of all processes together; a cold `go build` on 2 cores holds 1 GiB
    open_files: int = 1024
    log_bytes: int = 256 * 1024


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What must make no difference to what is built. The second build gets others than the first."""

    source: str = "/src"
    home: str = "/tmp"  # noqa: S108 - within the box
    host: str = "build"
    timezone: str = "UTC"


FIRST = Surroundings()
SECOND = Surroundings("/second/src", "/tmp/home", "second", "Pacific/Chatham")  # noqa: S108


@dataclass(frozen=True, slots=True)
class Ran:
    """`log` is what the program printed, cut at `Limits.log_bytes`."""

    exit_code: int
    log: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """A program and what it sees. `mounts` are read-only: where in the box, what of this machine."""

    command: Sequence[str]
    mounts: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    surroundings: Surroundings = FIRST


def run(job: Job, output: IO[bytes], limits: Limits = LIMITS) -> Ran:
    """Run it to its end. Raises `LimitExceeded` when it had to be ended, `NoSandbox` where no box can be had."""
    bubblewrap = shutil.which("bwrap", path=os.environ.get("PATH", "") + os.pathsep + _SEARCH)
    if bubblewrap is None:
        raise NoSandbox("there is no `bwrap` on this machine, so nothing is built here", _INSTALL)
    command = [*_limited(limits), bubblewrap, *_walls(job, limits), "--", *_inside(job.command, limits)]
    started = time.monotonic()
    with _started(command) as process:
        log = _follow(process, output, limits)
        exit_code = process.wait(timeout=max(END_SECONDS, limits.wall_seconds))
    if exit_code != 0 and log.startswith("bwrap: "):
        raise NoSandbox(f"bubblewrap cannot make its box: {log.strip()[7:300]}", _INSTALL)
    return Ran(exit_code, log, time.monotonic() - started)


def _walls(job: Job, limits: Limits) -> Iterator[str]:
    around = job.surroundings
    yield from ("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session")
    yield from ("--clearenv", "--cap-drop", "ALL", "--hostname", around.host)
    yield from ("--uid", str(NOBODY), "--gid", str(NOBODY))
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("/bin", "/lib", "/lib64"):
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.is_dir():
            yield from ("--ro-bind", name, name)
    yield from ("--proc", "/proc", "--dev", "/dev")
    yield from ("--size", str(limits.tmp_bytes), "--tmpfs", "/tmp")  # noqa: S108 - within the box
    yield from ("--size", str(limits.out_bytes), "--tmpfs", "/out")
    for inside, outside in job.mounts.items():
        yield from ("--ro-bind", str(outside), inside)
    yield from ("--dir", around.home, "--chdir", around.source if around.source in job.mounts else "/tmp")  # noqa: S108
    environment = {"PATH": _SEARCH, "HOME": around.home, "TZ": around.timezone, "LANG": "C.UTF-8"}
    for name, value in {**environment, "SOURCE_DATE_EPOCH": "315532800", **job.environment}.items():
        yield from ("--setenv", name, value)
    # The root and /dev are tmpfs too: read-only, or they would be room without a limit.
    yield from ("--remount-ro", "/dev", "--remount-ro", "/")


def _inside(command: Sequence[str], limits: Limits) -> list[str]:
    """The number of processes is limited within: the kernel counts them for each user namespace."""
    return [_PRLIMIT, f"--nproc={limits.processes}", "--", "/bin/sh", "-c", _SCRIPT, "build", *command]


@contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """bubblewrap: its result on stdout, its words on stderr. Nothing of it is alive afterwards."""
    as_root = os.geteuid() == 0
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
            umask=0o022,
            user=NOBODY if as_root else None,
            group=NOBODY if as_root else None,
            extra_groups=[] if as_root else None,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoSandbox(f"the build's box cannot be started: {error}", _INSTALL) from None
    with process:  # closes the pipes and waits
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the box's init, which ends all of it, and let bubblewrap see that; then bubblewrap, should it not."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    with contextlib.suppress(OSError):  # it has ended by itself, as it should
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)
    try:
        process.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _limited(limits: Limits) -> list[str]:
    """Set by a program, since nothing of ours may run between fork and exec in a worker that has threads."""
    wanted = {
        "cpu": limits.cpu_seconds,
        "as": limits.address_space,
        "fsize": limits.file_bytes,
        "nofile": limits.open_files,
        "core": 0,
    }
    return [_PRLIMIT, *(f"--{name}={most}" for name, most in wanted.items()), "--"]


def _follow(process: subprocess.Popen[bytes], output: IO[bytes], limits: Limits) -> str:
    """Read both pipes until they end. Returns the log."""
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = time.monotonic() + limits.wall_seconds
    look_at = time.monotonic() + LOOK_SECONDS
    log, written = bytearray(), 0
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            if time.monotonic() >= deadline:
                message = f"the build was ended after {limits.wall_seconds:g} s, as every build is"
                raise LimitExceeded(message, "make it smaller", log=_text(log, limits))
            if time.monotonic() >= look_at:
                _check_memory(process.pid, log, limits)
                look_at = time.monotonic() + LOOK_SECONDS
            for key, _ in selector.select(max(0.0, min(deadline, look_at) - time.monotonic())):
                piece = os.read(key.fd, _CHUNK_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    log += piece[: limits.log_bytes + 1 - len(log)]
                else:
                    written += len(piece)
                    _check_size(written, log, limits)
                    output.write(piece)
    return _text(log, limits)


def _check_memory(pid: int, log: bytearray, limits: Limits) -> None:
    """The kernel limits each process alone; what is in /tmp and /out has limits of its own."""
    held = process_memory.held_by(pid, suspicious=limits.memory)
    if held > limits.memory:
        message = f"the build's processes held {held:,} bytes of memory together; at most {limits.memory:,} are allowed"
        raise LimitExceeded(message, "start fewer of them at once, or have each hold less", log=_text(log, limits))


def _check_size(written: int, log: bytearray, limits: Limits) -> None:
    if written > limits.out_bytes:
        message = f"the build's result has more than {limits.out_bytes:,} bytes"
        raise LimitExceeded(message, "make it smaller", log=_text(log, limits))


def _text(log: bytearray, limits: Limits) -> str:
    """NUL cannot be stored in PostgreSQL, and a terminal's control characters have no place on a page."""
    text = log[: limits.log_bytes].decode(errors="replace")
    text = "".join(each for each in text if each.isprintable() or each in "\n\t")
    return text + ("\n[the rest was cut off]\n" if len(log) > limits.log_bytes else "")


def explain(ran: Ran, what: str) -> BuildError:
    """What to raise for a program that did not succeed."""
    last = next((line for line in reversed(ran.log.splitlines()) if line.strip()), "it said nothing")
    return BuildError(f"{what} failed (exit {ran.exit_code}): {last[:300]}", "see the build's log", log=ran.log)
