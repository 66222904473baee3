"""The API key in the keyring of the system (Keychain, Secret Service, Credential Manager), for who wants it there.

Needs the extra `km-client[keyring]`. A keyring that would keep it in plain text, or that is none, is passed over: the
file that only its owner may read is better. A keyring may be locked when the agent starts: it then says so and tries
again. One that never answers, as where it waits for a window that cannot be shown, holds nobody up for long: it is
asked on a thread of its own, and nothing more while it still owes an answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from km_protocol.api_keys import ApiKey

from km_client import paths
from km_client.errors import ClientError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "kilometers"
ANSWER_SECONDS = 5.0  # of a keyring that is open, behind a bus that is slow to start
PERSON_SECONDS = 120.0  # to see the window, and to type what unlocks it
_UNSAFE = ("keyrings.alt.", "keyring.backends.fail", "keyring.backends.null", "keyring.backends.chainer")

T = TypeVar("T")


class _Question(threading.Thread, Generic[T]):
    """One question to the keyring, and its answer once there is one. It ends with the process, answered or not."""

    def __init__(self, ask: Callable[[KeyringBackend], T]) -> None:
        super().__init__(name="km-keyring", daemon=True)
        self._ask = ask
        self.answer: list[T] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.answer.append(self._ask(_backend()))
        except Exception as error:  # noqa: BLE001 - of any type: backends let those of their system's library through
            self.error = error


_last: list[threading.Thread] = []


def save(key: ApiKey) -> str:
    """Keep `key`, in place of the one before. Returns the keyring's name. Raises `ClientError`."""

    def ask(backend: KeyringBackend) -> str:
        backend.set_password(SERVICE, _user(), str(key))
        return str(backend.name)

    return _asked(ask, "does not take the key", PERSON_SECONDS)


def load(seconds: float = ANSWER_SECONDS) -> str | None:
    """The key that is kept, or `None`. Raises `ClientError`, also when there is no answer in time."""
    return _asked(lambda backend: backend.get_password(SERVICE, _user()), "does not give the key", seconds)


def forget() -> None:
    """Keep none any more. Raises `ClientError` while one may still be kept."""

    def ask(backend: KeyringBackend) -> None:
        if backend.get_password(SERVICE, _user()) is not None:
            backend.delete_password(SERVICE, _user())

    _asked(ask, "does not give the key up", PERSON_SECONDS)


def _asked(ask: Callable[[KeyringBackend], T], trouble: str, seconds: float) -> T:
    if any(question.is_alive() for question in _last):
        raise _trouble(f"the keyring {trouble}: it still owes an answer")
    question = _Question(ask)
    _last[:] = [question]
    question.start()
    question.join(seconds)
    if question.is_alive():
        raise _trouble(f"the keyring {trouble}: no answer in {seconds:.0f} seconds")
    if isinstance(question.error, ClientError):
        raise question.error
    if question.error is not None:
        raise _trouble(f"the keyring {trouble}: {str(question.error) or type(question.error).__name__}")
    return question.answer[0]


def _user() -> str:
    """Two configurations of one person, such as of work and of home, keep two keys."""
    return str(paths.config_dir())


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
