"""The API key in the keyring of the system (Keychain, Secret Service, Credential Manager), for who wants it there.

Needs the extra `km-client[keyring]`. A keyring that would keep it in plain text, or that is none, is refused: the file
that only its owner may read is better. A keyring may be locked when the agent starts: it then says so and tries again.
"""

from __future__ import annotations

from typing import Any

from km_protocol.api_keys import ApiKey

from km_client import paths
from km_client.errors import ClientError

SERVICE = "kilometers"
_UNSAFE = ("keyrings.alt.", "keyring.backends.fail", "keyring.backends.null")


def name() -> str:
    """What the system's keyring is called. Raises `ClientError` where there is none that can be used."""
    return str(_library().get_keyring().name)


def save(key: ApiKey) -> str:
    """Keep `key`, in place of the one before. Returns the keyring's name. Raises `ClientError`."""
    found = _library()
    try:
        found.set_password(SERVICE, _user(), str(key))
    except found.errors.KeyringError as error:
        raise _trouble(f"the keyring does not take the key: {error}") from None
    return name()


def load() -> str | None:
    """The key that is kept, or `None`. Raises `ClientError`."""
    found = _library()
    try:
        kept: str | None = found.get_password(SERVICE, _user())
    except found.errors.KeyringError as error:
        raise _trouble(f"the keyring does not give the key: {error}") from None
    return kept


def forget() -> None:
    """Keep none any more. Raises `ClientError`."""
    found = _library()
    try:
        found.delete_password(SERVICE, _user())
    except found.errors.PasswordDeleteError:
        return  # there was none
    except found.errors.KeyringError as error:
        raise _trouble(f"the keyring does not give the key up: {error}") from None


def _user() -> str:
    """Two configurations of one person, such as of work and of home, keep two keys."""
    return str(paths.config_dir())


def _library() -> Any:
    try:
        import keyring  # noqa: PLC0415 - an extra, and slow to load
        import keyring.errors  # noqa: PLC0415
    except ImportError:
        raise ClientError(
            "no_keyring", "the keyring's library is not installed", 'run `pip install "km-client[keyring]"`'
        ) from None
    backend = type(keyring.get_keyring())
    backends = [type(each) for each in getattr(keyring.get_keyring(), "backends", ())] or [backend]
    if any(f"{each.__module__}.".startswith(_UNSAFE) for each in backends):
        raise _trouble(f"the only keyring here, {backend.__module__}, keeps nothing safe")
    return keyring


def _trouble(why: str) -> ClientError:
    return ClientError("keyring", why, "unlock it, or run `km-client login` without --keyring: a file is kept instead")
