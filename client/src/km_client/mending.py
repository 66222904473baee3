"""What `km-client doctor --fix` puts right by itself: only what cannot lose anything, and each thing is said.

    permissions   files and directories of ours that others can read: taken back to their owner (0600, 0700)
    leftovers     half-written files of a process that was killed, an hour old: deleted; locks die with their holder
    config        a misspelt setting whose near name is free and takes the value: renamed, the file kept otherwise
    agent         started, where a session or a recording waits for it

Everything else stays with the person, and `doctor` names the fix.
"""

from __future__ import annotations

import difflib
import glob
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from km_client import config, config_edit, overview, paths
from km_client.errors import ClientError
from km_client.proxy.agent_starter import ensure_agent_running
from km_client.settings import PATTERN_PREFIX, SETTINGS, find
from km_client.wrapping import backup, clients, files

LEFTOVER_SECONDS = 3600.0  # no file of ours takes longer to write
_RANDOM = "[a-z0-9_]" * 8  # as `tempfile.mkstemp` fills a name
_NEAR = 0.8  # of `difflib`'s ratio: `log_levle` is near `log_level`, `loglevel_max` is not


class Mended(NamedTuple):
    """What was put right, or why it could not be (`is_done` false)."""

    name: str
    words: str
    is_done: bool = True


def mend_all() -> list[Mended]:
    """Everything that can be mended, in the order in which one thing needs another."""
    done: list[Mended] = []
    for mend in (_permissions, _leftovers, _settings, _agent):
        done += _tried(mend)
    return done


def _tried(mend: Callable[[], Iterator[Mended]]) -> Iterator[Mended]:
    try:
        yield from mend()
    except (OSError, ClientError) as error:
        yield Mended(mend.__name__.strip("_"), f"could not be mended: {error}", is_done=False)


def _permissions() -> Iterator[Mended]:
    """Ours alone: what is a link, or somebody else's, is left as it is."""
    if sys.platform == "win32":
        return
    for path in _own_files():
        mode = path.stat().st_mode & 0o777
        if mode & 0o077 and path.stat().st_uid == os.geteuid():
            path.chmod(mode & 0o700)
            yield Mended("permissions", f"{path} could be read by others (mode {mode:04o}); now {mode & 0o700:04o}")


def _own_files() -> Iterator[Path]:
    config_files = (paths.config_dir(), paths.config_file(), paths.credentials_file())
    rooms = (
        *(paths.data_dir(), paths.journal_dir(), paths.agent_dir(), paths.log_dir(), paths.refused_dir()),
        *(paths.pins_dir(), paths.wrapping_dir()),
    )
    inside = (path for room in rooms[1:] if room.is_dir() for path in room.rglob("*"))
    return (path for path in (*config_files, *rooms, *inside) if path.exists() and not path.is_symlink())


def _leftovers() -> Iterator[Mended]:
    """A file of an editor, such as `.config.toml.swp`, is named otherwise and stays."""
    oldest = time.time() - LEFTOVER_SECONDS
    for path in _halves():
        if path.is_file() and not path.is_symlink() and path.stat().st_mtime < oldest:
            path.unlink()
            yield Mended("leftovers", f"deleted {path}, which a process that was killed had left")


def _halves() -> Iterator[Path]:
    """Of `replace_file`, which names them `.config.toml.x1y2z3w4`; of `wrap`, beside what it was about to replace, and
    among its copies.
    """
    for path in (Path(os.path.realpath(paths.config_file())), paths.credentials_file()):
        yield from path.parent.glob(f".{path.name}.{_RANDOM}")
    yield from paths.wrapping_dir().glob(f"*/.*.{_RANDOM}")
    own = (os.path.realpath(file.path) for file in clients.find(clients.this_system(), clients.CLIENTS))
    for path in map(Path, dict.fromkeys([*own, *(record.path for record in backup.every())])):
        yield from path.parent.glob(f".{glob.escape(path.name)}.{_RANDOM}{files.UNFINISHED}")


def _settings() -> Iterator[Mended]:
    written = config.read_file(paths.config_file())
    written.pop("plugins", None)
    for name, value in _flat(written):
        meant = None if find(name) else _meant(name, value)
        if meant and meant not in dict(_flat(written)):
            config_edit.rename(name, meant)
            yield Mended("config", f"`{name}` is now `{meant}` in {paths.config_file()}")


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _meant(name: str, value: object) -> str | None:
    """The one setting that is near and takes this value."""
    near = difflib.get_close_matches(
        name, [known for known in SETTINGS if not known.startswith(PATTERN_PREFIX)], 2, _NEAR
    )
    takes = [meant for meant in near if _is_valid(meant, value)]
    return takes[0] if len(takes) == 1 else None


def _is_valid(name: str, value: object) -> bool:
    try:
        SETTINGS[name].parse(value)
    except ValueError:
        return False
    return True


def _agent() -> Iterator[Mended]:
    machine = overview.look()
    waits = machine.waiting_bytes or any(session.is_live for session in machine.sessions)
    if machine.agent_pid is None and waits and ensure_agent_running():
        yield Mended("agent", "started: recordings waited for it")
