"""The registry's files in a directory of the test.

A model's field asks for its storage once, when the model is made; `kept_files` asks for it each time, and Django makes
another when settings change. A test that moves one of the two has files that the other does not find, and leaves some
in the developer's own directory: both are moved here, to one.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.files.storage import FileSystemStorage, Storage, storages

from plugins_registry.models import CustomerBuild, PayloadBuild, Source

FIELDS = ((Source, "file"), (PayloadBuild, "file"), (CustomerBuild, "package"))


def moved(patch: pytest.MonkeyPatch, place: Path) -> Path:
    """Keep all that the registry stores beneath `place` until `patch` is undone."""
    replaced(patch, FileSystemStorage(location=place, base_url=None))
    return place


def replaced(patch: pytest.MonkeyPatch, storage: Storage) -> None:
    """Keep all that the registry stores in `storage` until `patch` is undone."""
    for model, name in FIELDS:
        patch.setattr(model._meta.get_field(name), "storage", storage)
    patch.setitem(storages._storages, "registry", storage)  # type: ignore[attr-defined]  # where Django keeps what it made
