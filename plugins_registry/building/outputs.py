"""What came out of the box: a tar archive that an untrusted program wrote, as files by their names.

    files(open("out.tar", "rb"))     {"main.py": b"…", "site/idna/__init__.py": b"…"}

Plain files only, each once, by names a package may hold. Links, devices and names that lead elsewhere end the build.
"""

from __future__ import annotations

import tarfile
from typing import IO

from km_protocol.errors import PackageError
from km_protocol.kmpkg.entry_names import check_name
from km_protocol.kmpkg.limits import LIMITS

from plugins_registry.building.errors import BuildError

_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


def files(archive: IO[bytes]) -> dict[str, bytes]:
    """Raises `BuildError`."""
    archive.seek(0)
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            for member in tar:
                if not member.isdir():
                    _add(tar, member, found)
    except (tarfile.TarError, PackageError, ValueError, OSError) as error:
        raise BuildError(f"what the build left cannot be read: {error}", "see the build's log") from None
    return found


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, found: dict[str, bytes]) -> None:
    name = member.name.removeprefix("./")
    if member.type not in _PLAIN:
        raise BuildError(f"the build left `{name[:200]}`, which is no plain file", "leave files only")
    check_name(f"payload/{name}".encode("utf-8", "surrogateescape"))
    content = tar.extractfile(member)
    if content is None or name in found or len(found) >= LIMITS.entries:
        raise BuildError(f"the build left `{name[:200]}` twice, or too many files", "leave each file once")
    found[name] = content.read()
