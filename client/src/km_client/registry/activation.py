"""Which build of each plugin runs: one small file a plugin, replaced at once, that can go back by one step.

    {"current": "1.2.0-3f9a0c41d2e8", "previous": "1.1.0-77aa01b2c3d4", "is_proved": false,
     "failed": {}, "is_removed": false}

A build is proved once it ran. One that does not start before that, because it is refused or gives up within its budget,
is given up for the one before it, and is not taken again: `failed` says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from km_client.atomic_file import replace_file
from km_client.registry import builds
from km_client.registry.builds import Build
from km_client.registry.place import PRIVATE, Place

FILE_NAME = "active.json"
MOST_FAILED = 10


class Active(msgspec.Struct, frozen=True):
    """Names of directories beside the file. `is_removed`: a person wants none of it."""

    current: str = ""
    previous: str = ""
    is_proved: bool = False
    failed: dict[str, str] = {}
    is_removed: bool = False


def directory_of(place: Place, name: str) -> Path:
    return place.plugins / name


def load(plugin: Path) -> Active:
    """Nothing is active where the file is missing or damaged: a refresh then activates it again."""
    try:
        return msgspec.json.decode((plugin / FILE_NAME).read_bytes(), type=Active)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Active()


def save(plugin: Path, active: Active) -> None:
    replace_file(plugin / FILE_NAME, msgspec.json.encode(active), mode=PRIVATE)


def activate(plugin: Path, directory: str) -> None:
    """Run `directory` from the next start on, and keep the one that ran until now."""
    before = load(plugin)
    previous = before.previous if before.current == directory else before.current
    failed = {name: why for name, why in before.failed.items() if name != directory}
    save(plugin, Active(directory, previous, failed=failed))
    builds.sweep(plugin, frozenset({directory, previous}))


def prove(plugin: Path, directory: str) -> None:
    """It ran."""
    active = load(plugin)
    if active.current == directory and not active.is_proved:
        save(plugin, msgspec.structs.replace(active, is_proved=True))


def roll_back(plugin: Path, directory: str, why: str) -> str:
    """Give up `directory` and go back to the build before it; its name, or nothing where there is none."""
    active = load(plugin)
    if active.current != directory:
        return active.current  # somebody else was faster
    failed = dict([*active.failed.items(), (directory, why)][-MOST_FAILED:])
    back = active.previous if builds.read(plugin / active.previous) and active.previous else ""
    if not back:
        return ""
    save(plugin, Active(back, "", is_proved=True, failed=failed))
    return back


def remove(plugin: Path) -> None:
    """Run none of it, and fetch none of it again until somebody asks."""
    save(plugin, Active(is_removed=True))
    builds.sweep(plugin, frozenset())


def installed(place: Place) -> Iterator[tuple[Path, Build]]:
    """Each active build with its directory, sorted by name."""
    if not place.plugins.is_dir():
        return
    for plugin in sorted(place.plugins.iterdir()):
        current = load(plugin).current
        build = builds.read(plugin / current) if current else None
        if build:
            yield plugin / current, build
