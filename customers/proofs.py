"""This process's memory of who proved what: bounded, at most 60 s old, never past the proof's own end.

    kept = remembered(token, now)            → the Principal, in about two microseconds, or None
    mark = generation(); …read the rows…; remember(token, principal, now=…, until=…, mark=mark)

Keyed by a digest under a key this process made up, so a memory dump holds no token. A revocation that commits while
another thread is between reading the rows and remembering them changes the generation, and that thread's answer is
used once and not kept.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from customers.authentication import Principal

MAX_AGE_SECONDS = 60.0  # design: revocation is in force everywhere within a minute
MAX_ENTRIES = 10_000  # about 10 MB; more live keys than that in one minute on one process just look rows up again

_KEY = secrets.token_bytes(32)
_lock = threading.Lock()
_entries: dict[bytes, tuple[float, float, Principal]] = {}
_generation = 0


def remembered(token: str, now: float) -> Principal | None:
    """Who proved `token` less than a minute before Unix second `now`."""
    entry = _entries.get(_digest(token))
    if entry is None or not entry[0] <= now < entry[1]:  # the first half: a clock set back proves nothing
        return None
    return entry[2]


def generation() -> int:
    """Take before reading the rows a proof rests on."""
    return _generation


def remember(token: str, principal: Principal, *, now: float, until: float, mark: int) -> None:
    """Keep `principal` for `token` until `until` or a minute from `now`, unless something was revoked since `mark`."""
    with _lock:
        if mark != _generation:
            return
        key = _digest(token)
        _entries.pop(key, None)
        while len(_entries) >= MAX_ENTRIES:
            del _entries[next(iter(_entries))]  # the oldest: all live equally long
        _entries[key] = (now, min(until, now + MAX_AGE_SECONDS), principal)


def forget_all() -> None:
    """Something was revoked: look everything up again."""
    global _generation  # noqa: PLW0603 - one memory a process is the point
    with _lock:
        _generation += 1
        _entries.clear()


def _digest(token: str) -> bytes:
    return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), key=_KEY, digest_size=16).digest()
