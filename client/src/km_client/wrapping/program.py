"""The path of km-client that another program's configuration can name: absolute, and there tomorrow.

    find() → Program("/home/ada/.local/bin/km-client", is_temporary=False)

`uvx` and `pipx run` keep a program in a cache that is cleaned; one that is installed is taken instead, if there is one.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from km_client.errors import ClientError

_CACHED = {"archive-v0", "environments-v2", "builds-v0"}  # below uv's cache: what `uvx` runs from
_NAMES = {"km-client", "km", "km-client.exe", "km.exe"}


class Program(NamedTuple):
    path: str
    is_temporary: bool


def find(argv0: str | None = None, environment: Mapping[str, str] = os.environ) -> Program:
    """The running km-client, or an installed one where it is temporary. Raises `ClientError` if there is none."""
    found = list(dict.fromkeys(_candidates(sys.argv[0] if argv0 is None else argv0, environment)))
    if not found:
        raise ClientError(
            "no_program", "the path of km-client is unknown", "install it, as by `pipx install`, and run it by its name"
        )
    lasting = [path for path in found if not is_temporary(path, environment)]
    return Program(str((lasting or found)[0]), not lasting)


def _candidates(argv0: str, environment: Mapping[str, str]) -> Iterator[Path]:
    """As it was started, then as it is installed beside this Python, then as a shell would find it."""
    ending = ".exe" if sys.platform == "win32" else ""
    search = [Path(part) for part in environment.get("PATH", "").split(os.pathsep) if part]
    started = Path(argv0)
    if started.name.lower() in _NAMES:
        named = started if started.suffix or not ending else started.with_suffix(ending)
        for place in [Path()] if started.parent != Path() else search:
            yield from _existing(place / named)
    for place in (Path(sysconfig.get_path("scripts")), *search):
        yield from _existing(place / f"km-client{ending}")


def _existing(path: Path) -> Iterator[Path]:
    if path.is_file() and os.access(path, os.X_OK):
        yield Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow the link that outlives an upgrade


def is_temporary(path: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is in a cache that is cleaned now and then."""
    places = [path.parts, path.resolve().parts]
    cache = environment.get("UV_CACHE_DIR")
    return any(
        _CACHED & set(parts) or ("pipx" in parts and {".cache", "cache"} & set(parts)) for parts in places
    ) or bool(cache and path.resolve().is_relative_to(Path(cache).resolve()))
