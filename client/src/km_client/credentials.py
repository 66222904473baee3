"""The API key on this machine: a file only its owner may read, because MCP clients pass no environment on.

    ~/.config/kilometers/credentials.toml   (0600)
    api_key = "km_live_…"

Whoever else could read the key could have copied it, so a file with looser permissions is repaired and said so aloud.
A key is proved well-formed whenever it is read; whether a server knows it is the server's to say.
"""

from __future__ import annotations

import os
import stat
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from km_protocol import api_keys
from km_protocol.api_keys import ApiKey
from km_protocol.errors import MalformedKeyError

from km_client import output, paths
from km_client.atomic_file import replace_file
from km_client.errors import ClientError

VARIABLE = "KM_API_KEY"
PRIVATE = 0o600


class Credentials(NamedTuple):
    """A well-formed key and where it comes from: `flag`, `KM_API_KEY`, or the file's path."""

    api_key: ApiKey
    source: str


def load(flag: str | None = None, environment: Mapping[str, str] | None = None) -> Credentials | None:
    """The key in force, or `None` if there is none. `environment` is the process's unless given."""
    if flag is not None:
        return Credentials(parse(flag, "the command line"), "flag")
    if found := from_environment(environment):
        return found
    path = paths.credentials_file()
    kept = _read(path)
    return Credentials(parse(kept, str(path)), str(path)) if kept else None


def from_environment(environment: Mapping[str, str] | None = None) -> Credentials | None:
    """The key of `KM_API_KEY` alone."""
    text = (os.environ if environment is None else environment).get(VARIABLE)
    return Credentials(parse(text, VARIABLE), VARIABLE) if text else None


def save(key: ApiKey) -> Path:
    """Keep `key` for every later session."""
    path = paths.credentials_file()
    replace_file(path, f'api_key = "{key}"\n'.encode(), mode=PRIVATE)
    return path


def loose_mode(path: Path) -> int | None:
    """The file's permissions if others than its owner have any; always `None` on Windows, which has its own kind."""
    if sys.platform == "win32" or not path.exists():
        return None
    mode = stat.S_IMODE(path.stat().st_mode)
    return mode if mode & 0o077 else None


def parse(text: str, source: str) -> ApiKey:
    """Prove `text` a key. Raises `ClientError` that says where it came from and never repeats it."""
    try:
        return api_keys.parse(text.strip())
    except MalformedKeyError as error:
        raise ClientError(error.code, f"{error} (from {source})", error.hint) from None


def _read(path: Path) -> str | None:
    try:
        _repair(path)
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClientError("bad_credentials", f"{path} is not TOML: {error}", "run `km-client init` again") from None
    except OSError as error:
        raise ClientError(
            "bad_credentials", f"{path} cannot be read: {error.strerror}", f"run `chmod 600 {path}` as its owner"
        ) from None
    key = fields.get("api_key")
    if not isinstance(key, str):
        raise ClientError("bad_credentials", f"{path} holds no `api_key`", "run `km-client init` again")
    return key


def _repair(path: Path) -> None:
    mode = loose_mode(path)
    if mode is None:
        return
    path.chmod(PRIVATE)
    output.warn(
        f"{path} could be read by others (mode {mode:04o}); it is 0600 now",
        "if others use this machine, rotate the key in the dashboard and run `km-client init`",
    )
