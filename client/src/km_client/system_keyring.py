"""The API key in the keyring of the system (Keychain, Secret Service, Credential Manager), for who wants it there.

Needs the extra `km-client[keyring]`. A keyring that would keep it in plain text, or that is none, is passed over: the
file that only its owner may read is better. A keyring may be locked when the agent starts: it then says so and tries
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from km_protocol.api_keys import ApiKey

from km_client import paths
from km_client.errors import ClientError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "kilometers"
_UNSAFE = ("keyrings.alt.", "keyring.backends.fail", "keyring.backends.null", "keyring.backends.chainer")


def save(key: ApiKey) -> str:
    """Keep `key`, in place of the one before. Returns the keyring's name. Raises `ClientError`."""
    backend, errors = _backend(), _errors()
    try:
        backend.set_password(SERVICE, _user(), str(key))
    except errors as error:
        raise _trouble(f"the keyring does not take the key: {error}") from None
    return str(backend.name)


def load() -> str | None:
    """The key that is kept, or `None`. Raises `ClientError`."""
    backend, errors = _backend(), _errors()
    try:
        return backend.get_password(SERVICE, _user())
    except errors as error:
        raise _trouble(f"the keyring does not give the key: {error}") from None


def forget() -> None:
    """Keep none any more. Raises `ClientError` while one may still be kept."""
    backend, errors = _backend(), _errors()
    try:
        if backend.get_password(SERVICE, _user()) is not None:
            backend.delete_password(SERVICE, _user())
    except errors as error:
        raise _trouble(f"the keyring does not give the key up: {error}") from None


def _user() -> str:
    """Two configurations of one person, such as of work and of home, keep two keys."""
    return str(paths.config_dir())


def _errors() -> type[Exception]:
    from keyring.errors import KeyringError  # noqa: PLC0415 - an extra, and slow to load

    return KeyringError


def _backend() -> KeyringBackend:
    """The best of the system's that keeps a secret as one: of several `keyring` makes a chain, with the best first."""
    try:
        import keyring  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        raise ClientError(
            "no_keyring", "the keyring's library is not installed", 'run `pip install "km-client[keyring]"`'
        ) from None
    found: KeyringBackend = keyring.get_keyring()
    offered: list[KeyringBackend] = [*getattr(found, "backends", ()), found]
    for each in offered:
        if not f"{type(each).__module__}.".startswith(_UNSAFE):
            return each
    raise _trouble(f"the only keyring here, {type(offered[0]).__module__}, keeps nothing safe")


def _trouble(why: str) -> ClientError:
    return ClientError("keyring", why, "unlock it, or run `km-client login` without --keyring: a file is kept instead")
