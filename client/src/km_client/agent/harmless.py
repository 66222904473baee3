"""A fault in what plugins need is logged, and never reaches the session that asked: recording and shipping go on."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)


def harmless(otherwise: T) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The function, which gives `otherwise` where it would raise."""

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except Exception:  # noqa: BLE001 - whatever it is, it is not the session's fault
                _log.exception("plugins: %s failed; the sessions go on without", function.__qualname__)
                return otherwise

        return guarded

    return wrap
