"""Put the file where the system looks for it, have it heeded; and take all of that away again.

    install(manager)      → the file is there, and starts the agent at the next sign-in
    uninstall(manager)    → as if it never had been

A file that somebody else made is never replaced or removed. Where the session manager cannot be reached, as over ssh or
in a container, the file is written all the same, and the error says what to run later.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from km_client import paths
from km_client.autostart import launchd, systemd, task_scheduler
from km_client.autostart.job import MARK, Job, Manager
from km_client.errors import ClientError

MANAGER_SECONDS = 30.0  # a session bus that does not answer must not hang the command
_PRIVATE = 0o600


def manager(job: Job) -> Manager:
    """This system's."""
    if sys.platform == "win32":
        user = "\\".join(filter(None, (os.environ.get("USERDOMAIN"), os.environ.get("USERNAME"))))
        return task_scheduler.manager(job, paths.data_dir(), user)
    if sys.platform == "darwin":
        return launchd.manager(job, Path.home(), os.getuid())
    chosen = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return systemd.manager(job, chosen if chosen.is_absolute() else Path.home() / ".config")


def install(found: Manager) -> None:
    """Raises `ClientError` if the file is another's, cannot be written, or is not heeded yet."""
    _check_ours(found.file)
    if shutil.which(found.begin[0][0]) is None:
        raise ClientError(
            "no_session_manager",
            f"`{found.begin[0][0]}` is not here, so {found.name} does not start this user's programs",
            "have your session run `km-client agent start` when it begins",
        )
    was_there = is_installed(found)
    try:
        found.file.parent.mkdir(parents=True, exist_ok=True)
        found.file.write_text(found.text, encoding="utf-8")
        found.file.chmod(_PRIVATE)
    except OSError as error:
        raise _unwritable(found.file, error) from None
    for command in found.renew if was_there else ():
        _refused(command)
    for command in found.begin:
        if why := _refused(command):
            later = " && ".join(shlex.join(each) for each in found.begin)
            raise ClientError(
                "session_manager",
                f"{found.file} is written, but {found.name} does not heed it yet: {why}",
                f"run `{later}` in a session of this user, or `km-client service uninstall`",
            )


def uninstall(found: Manager) -> str:
    """Why the session manager could not be told, or "" if it was. Raises `ClientError` if the file is another's."""
    _check_ours(found.file)
    why = ""
    for number, command in enumerate(found.end):
        why = why or _refused(command)
        if number == 0:
            _remove(found)
    return why


def is_installed(found: Manager) -> bool:
    return found.file.is_file() and MARK in found.file.read_text(encoding="utf-8", errors="replace")


def _check_ours(file: Path) -> None:
    try:
        is_foreign = file.exists() and MARK not in file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # a directory, or not ours to read
        is_foreign = True
    if is_foreign:
        raise ClientError("foreign_file", f"{file} was not made by km-client", "move it away, and run this again")


def _remove(found: Manager) -> None:
    """File and link, and the directories that nothing else is in."""
    try:
        for each in (found.link, found.file):
            if each is not None:
                each.unlink(missing_ok=True)
                _remove_empty(each.parent)
    except OSError as error:
        raise _unwritable(found.file, error) from None


def _remove_empty(directory: Path) -> None:
    """It and what is above it below the home, for as long as nothing is in there."""
    with contextlib.suppress(OSError):  # what is not empty stays
        while directory.is_relative_to(Path.home()) and directory != Path.home():
            directory.rmdir()
            directory = directory.parent


def _refused(command: tuple[str, ...]) -> str:
    """What is wrong with it, or ""."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MANAGER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"`{shlex.join(command)}`: {error}"
    said = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else f"`{shlex.join(command)}`: {said[0] if said else done.returncode}"


def _unwritable(file: Path, error: OSError) -> ClientError:
    return ClientError("unwritable", f"{file} cannot be written: {error.strerror}", "correct the permissions there")
