"""How lines of log look: one JSON object a line for machines, plain text for people, and no secret in either.

    LOGGING = logs.configure(level="INFO", as_json=True)

Every library's lines pass here too, with the ids of the request or task they belong to (`core.correlation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from core.redaction import without_secrets

_ABOUT_A_LINE: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
# One list for good: loggers keep the one they met at their first line.
_OF_OUR_OWN: list[Processor] = [
    structlog.stdlib.filter_by_level,
    *_ABOUT_A_LINE,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
]


def configure(*, level: str, as_json: bool) -> dict[str, Any]:
    """Set structlog up. Returns Django's `LOGGING`, which sends what it makes, and all else, to stderr."""
    structlog.configure(
        processors=_OF_OUR_OWN,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    line = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": _rendering(as_json=as_json),
        "foreign_pre_chain": _ABOUT_A_LINE,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": line},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
    }


def _rendering(*, as_json: bool) -> Sequence[Any]:
    """From an event's parts to its line. A plain traceback: the pretty one prints local variables, keys among them."""
    text = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    tail = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()] if as_json else [text]
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail, _clean]


def _clean(logger: WrappedLogger, method: str, line: EventDict) -> Any:  # noqa: ARG001 - a processor's signature
    """Last: the line is whole."""
    return without_secrets(str(line))
