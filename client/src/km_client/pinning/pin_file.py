"""Pins on disk: one file for each server, named by it, for its owner's eyes only, replaced at once and whole.

    pins/git-1f0c3a9e5b7d2486.json
      {"format": 1, "server": {"name": "git", "command": ["uvx", "mcp-server-git"]}, "seen_at_ns": …,
       "pinned": {"git_log": {"sha256": "9f86d0…", "definition": "{\"name\":…}", "at_ns": …, "how": "first seen"}},
       "found": {}, "removed": {}}

The agent, the relay and a person may all change a file: each reads, changes and writes it under one lock. A file that
cannot be read is never taken for an empty one, for that would believe whatever comes next. Errors are `ClientError`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from km_client import paths
from km_client.atomic_file import replace_file
from km_client.capture import lock
from km_client.errors import ClientError
from km_client.pinning.pins import Identity, Pin, Pins

FORMAT = 1
MAX_FILE_BYTES = 64 * 1024 * 1024  # twice what the limits of `pins` allow; anything larger is no file of ours
MAX_SERVERS = 1_000  # the one that was not heard of for longest is forgotten for a new one
LOCK_SECONDS = 5.0


def path_of(identity: Identity) -> Path:
    """Where the pins of this server are, or would be."""
    told = json.dumps([identity.name, list(identity.command), identity.url])
    key = hashlib.sha256(told.encode()).hexdigest()[:16]
    slug = re.sub(r"[^a-z0-9]+", "-", identity.name.lower())[:40].strip("-") or "server"
    return paths.pins_dir() / f"{slug}-{key}.json"


def load(path: Path) -> Pins | None:
    """The pins in this file; `None` if there is no such file. Raises `ClientError`."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError("it is too large")
        return _decoded(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClientError("bad_pins", f"{path} cannot be read: {error.strerror}", "correct its permissions") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        message = f"{path} does not hold the pins of a server: {error}"
        raise ClientError("bad_pins", message, "delete it to pin the server's tools as they are listed next") from None


def update(identity: Identity, change: Callable[[Pins], object], *, within: float | None = None) -> Pins:
    """Have `change` applied to the pins of this server and written down, if it changes them. `within` is how long to
    wait for others, in seconds (`LOCK_SECONDS` if it is not given). Raises `ClientError`.
    """
    path = path_of(identity)
    with _locked(path, LOCK_SECONDS if within is None else within):
        pins = load(path)
        is_new = pins is None
        pins = pins or Pins(identity)
        before = _encoded(pins)
        change(pins)
        after = _encoded(pins)
        if after | {"seen_at_ns": 0} != before | {"seen_at_ns": 0}:
            if is_new:
                _make_room(path.parent)
            replace_file(path, json.dumps(after, separators=(",", ":")).encode(), mode=0o600)
        elif not is_new:
            with contextlib.suppress(OSError):  # it says when the server was last heard of, and nothing more
                os.utime(path)
    return pins


def all_files() -> list[Path]:
    """Every server's file, by name."""
    return sorted(paths.pins_dir().glob("*.json")) if paths.pins_dir().is_dir() else []


@contextlib.contextmanager
def _locked(path: Path, within: float) -> Iterator[None]:
    """Nobody else changes a file of pins meanwhile."""
    try:
        paths.make_private(path.parent)
        fd = os.open(path.parent / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"{path.parent} cannot be used: {error.strerror}"
        raise ClientError("bad_pins", message, "correct its permissions, or set KM_DATA_DIR") from None
    try:
        if not lock.hold_within(fd, within):
            message = f"another program keeps {path.parent / 'lock'}"
            raise ClientError("bad_pins", message, "end it, and try again")
        yield
    finally:
        os.close(fd)


def _make_room(directory: Path) -> None:
    files = all_files() if directory.is_dir() else []
    if len(files) >= MAX_SERVERS:
        by_age = sorted(files, key=lambda each: each.stat().st_mtime)
        for each in by_age[: len(files) - MAX_SERVERS + 1]:
            each.unlink(missing_ok=True)


def _encoded(pins: Pins) -> dict[str, Any]:
    who = pins.identity
    server = {"name": who.name, "command": list(who.command)} | ({"url": who.url} if who.url else {})
    return {
        "format": FORMAT,
        "server": server,
        "seen_at_ns": pins.seen_ns,
        "is_settling": pins.is_settling,
        "left_out": pins.left_out,
        "pinned": {name: _pin(pin) for name, pin in pins.pinned.items()},
        "found": {name: _pin(pin) for name, pin in pins.found.items()},
        "removed": dict(pins.removed),
    }


def _pin(pin: Pin) -> dict[str, Any]:
    return {"sha256": pin.digest, "definition": pin.text, "at_ns": pin.at_ns, "how": pin.how}


def _decoded(content: dict[str, Any]) -> Pins:
    if content["format"] != FORMAT:
        raise ValueError(f"its format is {content['format']!r}, and this program knows {FORMAT}")
    server = content["server"]
    return Pins(
        Identity(str(server["name"]), tuple(map(str, server["command"])), str(server.get("url", ""))),
        int(content["seen_at_ns"]),
        bool(content["is_settling"]),
        {str(name): _read(pin) for name, pin in content["pinned"].items()},
        {str(name): _read(pin) for name, pin in content["found"].items()},
        {str(name): int(at) for name, at in content["removed"].items()},
        int(content["left_out"]),
    )


def _read(pin: dict[str, Any]) -> Pin:
    how = pin["how"]
    if how not in ("first seen", "approved", ""):
        raise ValueError(f"a tool is pinned as {how!r}")
    return Pin(str(pin["sha256"]), str(pin["definition"]), int(pin["at_ns"]), how)
