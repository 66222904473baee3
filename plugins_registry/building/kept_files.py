"""Files of the registry's storage whose names follow from their content: what is there under a name is that."""

from __future__ import annotations

import hashlib

from django.core.files.base import ContentFile

from plugins_registry.models.plugins import registry_storage


def sha256(data: bytes) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def store(name: str, data: bytes) -> None:
    """A half-written file of an earlier run is replaced."""
    storage = registry_storage()
    if storage.exists(name):
        if storage.size(name) == len(data):
            return
        storage.delete(name)
    storage.save(name, ContentFile(data))


def load(name: str) -> bytes:
    """Raises `FileNotFoundError`."""
    with registry_storage().open(name) as file:
        return bytes(file.read())


def forget(name: str) -> None:
    """A file that is not there is no error."""
    registry_storage().delete(name)
