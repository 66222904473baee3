"""Where the service's own secrets come from: the environment, or, on a laptop, a 0600 file made on first use.

    secret("KM_SECRET_KEY", DATA_DIR, production=False)   → the variable, else DATA_DIR/secrets/km_secret_key

In production a missing secret is refused: one invented at start would differ between machines and be lost with them.
One that not every process may have (`needed=False`) is then empty, and whoever comes to use it says so.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

SECRET_BYTES = 48  # more than any of the three needs, and no question about it


def secret(name: str, directory: Path, *, production: bool, needed: bool = True) -> str:
    """The secret called `name`: from the environment, else from `directory/secrets/<name>`, else made there."""
    given = os.environ.get(name, "")
    if given:
        return given
    if production and not needed:
        return ""
    if production:
        raise ImproperlyConfigured(f"`{name}` is not set. In production every secret comes from the environment.")
    path = directory / "secrets" / name.lower()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _create(path)
    return _read(path)


def _read(path: Path) -> str:
    value = path.read_text(encoding="ascii").strip()
    if not value:
        raise ImproperlyConfigured(f"`{path}` is empty. Restore it from a backup; a new one would invalidate all keys.")
    return value


def _create(path: Path) -> None:
    """Make the file so that of two processes starting at once, both end with the same secret."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(SECRET_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())  # a key that the next power cut takes back would lock every customer out
    with contextlib.suppress(FileExistsError):  # the other process was first: its secret is the one
        os.link(draft, path)
    draft.unlink()
