"""The API key on this machine: a file only its owner may read, because MCP clients pass no environment on.

    ~/.config/kilometers/credentials.toml   (0600)
    api_key = "km_live_…"           or, if its owner wants that,   store = "keyring"

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

from km_client import output, paths, system_keyring
from km_client.atomic_file import replace_file
from km_client.errors import ClientError

VARIABLE = "KM_API_KEY"
PRIVATE = 0o600
KEYRING = "keyring"
PROBE_BYTES = 4096  # a block: on a full disk an empty file can still be made


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
    return kept()


def from_environment(environment: Mapping[str, str] | None = None) -> Credentials | None:
    """The key of `KM_API_KEY` alone."""
    text = (os.environ if environment is None else environment).get(VARIABLE)
    return Credentials(parse(text, VARIABLE), VARIABLE) if text else None


def kept() -> Credentials | None:
    """The key this machine keeps, whatever the environment says."""
    path = paths.credentials_file()
    text = _read(path)
    return Credentials(parse(text, str(path)), str(path)) if text else None


def save(key: ApiKey) -> Path:
    """Keep `key` for every later session."""
    path = paths.credentials_file()
    was_in_keyring = _is_in_keyring(path)
    replace_file(path, f'api_key = "{key}"\n'.encode(), mode=PRIVATE)
    if was_in_keyring:
        try:
            system_keyring.forget()
        except ClientError as error:  # the new key is kept, and the old one no login any more
            output.warn(
                f"the key before stays in the keyring: {error.message}", "unlock it, and take the key out there"
            )
    return path


def save_in_keyring(key: ApiKey) -> str:
    """Keep `key` in the system's keyring, and in the file that it is there. Returns its name. Raises `ClientError`."""
    name = system_keyring.save(key)
    replace_file(paths.credentials_file(), b'store = "keyring"\n', mode=PRIVATE)
    return name


def check_keyring() -> None:
    """Raises `ClientError` where the system has no keyring that can be used now; it may ask its owner to unlock it."""
    system_keyring.load(system_keyring.PERSON_SECONDS)


def check_file() -> None:
    """Raises `ClientError` where no key could be written now: better known before somebody has confirmed a login."""
    probe = paths.credentials_file().with_suffix(".probe")
    replace_file(probe, bytes(PROBE_BYTES), mode=PRIVATE)
    probe.unlink()


def forget() -> None:
    """Keep no key any more. Raises `ClientError`."""
    path = paths.credentials_file()
    if _is_in_keyring(path):
        system_keyring.forget()
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ClientError(
            "unwritable", f"{path} cannot be removed: {error.strerror}", "remove it as the owner of its directory"
        ) from None


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
    if fields.get("store") == KEYRING:
        return _read_keyring(path)
    key = fields.get("api_key")
    if not isinstance(key, str):
        raise ClientError("bad_credentials", f"{path} holds no `api_key`", "run `km-client init` again")
    return key


def _read_keyring(path: Path) -> str:
    key = system_keyring.load()
    if key is None:
        raise ClientError(
            "bad_credentials",
            f"the keyring has no key any more, where {path} says it is",
            "run `km-client login` again",
        )
    return key


def _is_in_keyring(path: Path) -> bool:
    try:
        return KEYRING in path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # none is there, or none that this user could ever read: there is nothing to take out
        return False


def _repair(path: Path) -> None:
    mode = loose_mode(path)
    if mode is None:
        return
    path.chmod(PRIVATE)
    output.warn(
        f"{path} could be read by others (mode {mode:04o}); it is 0600 now",
        "if others use this machine, rotate the key in the dashboard and run `km-client init`",
    )
