"""Libraries that another one uses if they happen to be installed, and that this service never uses through it.

    with without("rich"):
        import structlog       # finds no rich, and does what it does without

They are installed for other reasons, and would be loaded into every process at its start.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import cast

_ABSENT = cast(ModuleType, None)  # "raises ModuleNotFoundError", as the documentation of `import` has it


@contextmanager
def without(*names: str) -> Iterator[None]:
    """What is imported within finds none of the modules `names` but those that are loaded already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden, _ABSENT))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
