"""Where this user's files are. Only `make_private` touches the disk.

    config_dir()   $KM_CONFIG_DIR, else ~/.config/kilometers       (macOS ~/Library/Application Support/kilometers,
    data_dir()     $KM_DATA_DIR,   else ~/.local/share/kilometers    Windows %APPDATA% and %LOCALAPPDATA%)

`XDG_CONFIG_HOME` and `XDG_DATA_HOME` are honoured where XDG is the custom. MCP SDKs start stdio servers with only HOME,
LOGNAME, PATH, SHELL, TERM and USER, so a person who moves these directories by a variable must also set it in the MCP
client's configuration; the defaults need none.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from km_client.errors import ClientError

APPLICATION = "kilometers"


def config_dir() -> Path:
    """What the user chose: settings and credentials."""
    return _chosen("KM_CONFIG_DIR") or _base("XDG_CONFIG_HOME", ".config", "APPDATA") / APPLICATION


def data_dir() -> Path:
    """What the client wrote: journals, the agent's state, logs."""
    return _chosen("KM_DATA_DIR") or _base("XDG_DATA_HOME", ".local/share", "LOCALAPPDATA") / APPLICATION


def config_file() -> Path:
    return config_dir() / "config.toml"


def credentials_file() -> Path:
    return config_dir() / "credentials.toml"


def journal_dir() -> Path:
    """One directory per `monitor` run, written by the relay, read and deleted by the agent."""
    return data_dir() / "journal"


def agent_dir() -> Path:
    """`agent.lock`, `state.json`, `agent.log`, `checkpoints/`, `leases/`."""
    return data_dir() / "agent"


def agent_lock() -> Path:
    """Held by the running agent for as long as it lives."""
    return agent_dir() / "agent.lock"


def leases_dir() -> Path:
    """One file for each server and key: what it allows while the server cannot be reached."""
    return agent_dir() / "leases"


def machine_file() -> Path:
    """A random id that leases are made out to."""
    return data_dir() / "machine"


def log_dir() -> Path:
    """What `km-client logs` shows."""
    return data_dir() / "log"


def refused_dir() -> Path:
    """Events a server refused for good, with the reason."""
    return data_dir() / "refused"


def plugin_state_dir() -> Path:
    """What plugins may write, a directory for each."""
    return data_dir() / "plugins" / "state"


def plugin_log_dir() -> Path:
    """What plugins print, and what the host has to say of them."""
    return data_dir() / "plugins" / "log"


def pins_dir() -> Path:
    """What each MCP server's tools were when they were first seen or approved, a file for each server."""
    return data_dir() / "pins"


def wrapping_dir() -> Path:
    """What the configurations of MCP clients were before `wrap` changed them: a directory for each file."""
    return data_dir() / "wrapping"


def registry_dir() -> Path:
    """Plugins from the registry, and what vouches for them: a directory for each customer of each server."""
    return data_dir() / "registry"


def make_private(directory: Path) -> None:
    """Make `directory`, and what is missing above it, for this user's eyes only. Raises `OSError`.

    `Path.mkdir(mode, parents=True)` gives the mode to the last one only: the others would be open to every user.
    """
    for each in (*reversed(directory.parents), directory):
        if not each.is_dir():
            with contextlib.suppress(FileExistsError):  # another relay or the agent made it just now
                each.mkdir(mode=0o700)


def _chosen(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _base(xdg_variable: str, below_home: str, windows_variable: str) -> Path:
    if sys.platform == "win32":
        return _chosen(windows_variable) or _home()
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support"
    chosen = _chosen(xdg_variable)
    # The XDG specification: a relative path in these variables is invalid and must be ignored.
    return chosen if chosen and chosen.is_absolute() else _home() / below_home


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise ClientError(
            "no_home",
            "the home directory is unknown: HOME is not set and this user has no entry in the password database",
            "set HOME, or KM_CONFIG_DIR and KM_DATA_DIR",
        ) from None
