"""The files of a plugin's directory that go into an archive: one walk for packages and for sources.

plain_files(Path("slow-tools"), "", lambda name: name.startswith("."), "a package")     "main.py", "lib/words.py"
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from km_plugin_sdk.project import ProjectError

_ENVIRONMENT = "pyvenv.cfg"  # what makes a directory a virtual environment


def plain_files(top: Path, within: str, is_left_out: Callable[[str], bool], into: str) -> Iterator[str]:
    """The names of the files beneath `top/within`, with forward slashes; without virtual environments.

    `is_left_out` is asked of files and directories alike. Raises `ProjectError` for a link, which `into` cannot hold.
    """
    with os.scandir(top / within) as found:
        entries = list(found)
    for entry in entries:
        name = f"{within}/{entry.name}" if within else entry.name
        if is_left_out(name) or (entry.is_dir() and Path(entry.path, _ENVIRONMENT).exists()):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from plain_files(top, name, is_left_out, into)
        elif entry.is_file(follow_symlinks=False):
            yield name
        else:
            message = f"`{top / name}` is a symbolic link or no plain file, which {into} cannot hold"
            raise ProjectError(message, "put the file itself there, or move it out of the plugin")
