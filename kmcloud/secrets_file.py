"""Where the service's own secrets come from: the environment, or, on a laptop, a 0600 file made on first use.

    given("KM_DATABASE_URL")                               → the variable, else what the file holds that `…_FILE` names
    secret("KM_SECRET_KEY", DATA_DIR, production=False)    → what is given, else DATA_DIR/secrets/km_secret_key

In production a missing secret is refused: one invented at start would differ between machines and be lost with them.
A file, as container engines mount secrets, shows in no list of processes and in no `inspect`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from kmcloud.roles import FILE_SUFFIX

SECRET_BYTES = 48  # more than any of the three needs, and no question about it


def given(name: str, default: str = "") -> str:
    """The variable called `name`, else the first line of the file that the variable `<name>_FILE` names."""
    value = os.environ.get(name, "")
    path = os.environ.get(name + FILE_SUFFIX, "")
    if value or not path:
        return value or default
    try:
        return Path(path).read_text(encoding="utf-8").strip() or default
    except OSError as error:
        raise ImproperlyConfigured(f"`{name}{FILE_SUFFIX}` names `{path}`, which cannot be read: {error}") from None


def secret(name: str, directory: Path, *, production: bool) -> str:
    """The secret called `name`: given, else from `directory/secrets/<name>`, else made there."""
    value = given(name)
    if value:
        return value
    if production:
        raise ImproperlyConfigured(
            f"`{name}` is not set. In production every secret comes from the environment: set it, or set"
            f" `{name}{FILE_SUFFIX}` to the file that holds it."
        )
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
