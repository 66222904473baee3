"""What these tests stand on: key files in a directory of the test."""

from __future__ import annotations

from tests.plugins_registry.repositories.conftest import own_keys, registry

__all__ = ["own_keys", "registry"]
