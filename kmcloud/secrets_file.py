"""Where the service's own secrets come from: the environment, or, on a laptop, a 0600 file made on first use.

In production a missing secret is refused: one invented at start would differ between machines and be lost with them.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def secret(name: str, directory: Path, *, production: bool) -> str:
    """The secret called `name`: from the environment, else from `directory/secrets/<name>`, else made there."""
    given = os.environ.get(name, "")
    if given:
        return given
    if production:
        raise ImproperlyConfigured(f"`{name}` is not set. In production every secret comes from the environment.")
    path = directory / "secrets" / name.lower()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _read(path) or _create(path)


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _create(path: Path) -> str:
    """Make the file so that of two processes starting at once, both end with the same secret."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
    try:
        os.link(draft, path)  # fails if the other process was first
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return _read(path)
