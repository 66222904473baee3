"""Go's standard library for this run's builds, compiled before the first test would: scripts/test/run does it.

Builds in boxes never see a cache of the machine's, so it is made anew in each run, by the service's own code.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from django.conf import settings
from km_client.registry.offers import own_platform

from plugins_registry.building import go_std, golang


def compile_it() -> bool:
    """Into the settings' `TOOLCHAIN_CACHE_DIR`; whether that could be done. Raises `BuildError` without Go."""
    with tempfile.TemporaryDirectory() as copy:
        kept = Path(settings.TOOLCHAIN_CACHE_DIR)
        return go_std.brought(golang.find_toolchain(), own_platform(), kept, Path(copy)) is not None
