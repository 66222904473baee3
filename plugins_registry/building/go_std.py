"""The compiled standard library of a Go toolchain: made once by the service, what every build and `go vet` starts from.

    go_std.brought(find_toolchain(), "linux-amd64", kept, place)    Std(place / "go-std.tar", "5c1d…")

    kept/linux-amd64-go1.26.8-3f9a0c41d2e89b07-5c1d….tar            the cache's files; a name ends in its own SHA-256

No submission has a part in it: it is compiled in a box that is shown the toolchain and nothing else. A build gets a
copy of its own, checked on the way, mounted read-only and unpacked into the memory of its box; so what a build writes
into its cache ends with its box. One that is damaged, or another toolchain's, is made again. Of two workers one makes
it and the other waits. Go names what is in a cache by the digest of its compiler, its sources and its flags: what does
not fit is not used. Without one (a full disk, no right to write) a build compiles all of it, half a minute longer.
"""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import structlog

from plugins_registry.building import box, golang
from plugins_registry.building.box import Job, Limits
from plugins_registry.building.errors import BuildError
from plugins_registry.building.golang import Std

FILE_NAME = "go-std.tar"
_MIB = 1024 * 1024
# 120 MiB and 45 s of computing with Go 1.26. Waiting for another worker and making it then is shorter than a claim.
LIMITS = Limits(wall_seconds=400.0, out_bytes=512 * _MIB)
_MAKE = 'go build -trimpath std && rm -f "$GOCACHE"/README "$GOCACHE"/*.txt'
_BEGUN = ".making-"
_CHUNK_BYTES = _MIB

_log = structlog.get_logger(__name__)


def brought(toolchain: Path, platform: str, kept: Path, into: Path) -> Std | None:
    """A copy in the directory `into`, from `kept`, where it is made unless it is there. None if that cannot be."""
    try:
        kept.mkdir(mode=0o755, parents=True, exist_ok=True)
        start = f"{platform}-go{golang.version(toolchain)}-{_identity(toolchain)}-"
        target = into / FILE_NAME
        found = _copied(kept, start, target)
        if found is None:
            with _alone(kept, platform):
                found = _copied(kept, start, target) or _made(toolchain, platform, kept, start, target)
    except (BuildError, OSError) as error:
        _log.warning("go_std_missing", platform=platform, error=str(error), hint="builds compile it themselves")
        return None
    return found


def _copied(kept: Path, start: str, target: Path) -> Std | None:
    """The first that is what its name says; those that are not are removed."""
    for path in sorted(kept.glob(f"{start}*.tar")):
        expected = path.stem.removeprefix(start)
        if _copy(path, target) == expected:
            return Std(target, expected)
        _log.warning("go_std_damaged", path=str(path))
        path.unlink(missing_ok=True)
    return None


def _copy(path: Path, target: Path) -> str:
    """The SHA-256 of what was copied: read once, so that nothing changes between the check and the use."""
    digest = hashlib.sha256()
    with path.open("rb") as source, target.open("wb") as file:
        while piece := source.read(_CHUNK_BYTES):
            digest.update(piece)
            file.write(piece)
    target.chmod(0o444)
    return digest.hexdigest()


def _made(toolchain: Path, platform: str, kept: Path, start: str, target: Path) -> Std | None:
    """Compiled, and kept by its digest; what was kept of this platform before is another toolchain's, or half done."""
    job = Job(
        ["/bin/sh", "-c", _MAKE],
        golang.mounts_of(toolchain),
        {
            **golang.environment_of(platform, vendored=False),
            "GOCACHE": "/out",
            "PATH": f"{golang.GOROOT}/bin:/usr/bin:/bin",
        },
    )
    for old in (*kept.glob(f"{platform}-*.tar"), *kept.glob(f"{_BEGUN}{platform}-*")):
        old.unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile(prefix=f"{_BEGUN}{platform}-", dir=kept, delete=False) as file:
        begun = Path(file.name)
        try:
            ran = box.run(job, file, LIMITS)
            if ran.exit_code != 0:
                raise box.explain(ran, f"compiling the standard library for {platform}")
            file.flush()
            sha256 = _copy(begun, target)
            begun.chmod(0o444)
            begun.rename(kept / f"{start}{sha256}.tar")
        finally:
            begun.unlink(missing_ok=True)
    _log.info("go_std_made", platform=platform, sha256=sha256, seconds=round(ran.seconds, 1))
    return Std(target, sha256)


@contextmanager
def _alone(kept: Path, platform: str) -> Iterator[None]:
    """One worker at a time; the kernel lets go of a dead one's lock."""
    with (kept / f"{platform}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _identity(toolchain: Path) -> str:
    """Of its programs: the version alone would not tell a toolchain that was built anew from the old one."""
    tools = [toolchain / "bin" / "go", *sorted(path for path in toolchain.glob("pkg/tool/*/*") if path.is_file())]
    return _digest(tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in tools))


@lru_cache(maxsize=4)
def _digest(tools: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in tools:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
