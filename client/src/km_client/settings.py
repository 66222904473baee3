"""The table of settings: what each is called, where else it may come from, what it may be, and its default.

`km-client config list` prints it; `config.py` reads values by it; nothing else knows a setting's rules.
"""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

DEFAULT_API_URL = "http://127.0.0.1:8318"  # where `manage.py serve` listens unless it is told otherwise
LOG_LEVELS = ("debug", "info", "warning", "error")
DEFAULT_IDLE_SECONDS = 30.0  # longer than an editor takes to restart a server, so the agent survives that
DEFAULT_LOG_BYTES = 64 * 1024 * 1024

ON_CHANGE = ("report", "hold")
SANDBOX_LEVELS = ("strict", "best-effort", "off")

Value = str | bool | int | float | tuple[str, ...] | list[Any] | dict[str, Any]  # the last two: a plugin's own


class Setting(NamedTuple):
    """`parse` takes a TOML value or a word from the environment or the command line, and raises `ValueError` with what
    the value must be. `example` is a value that works.
    """

    name: str
    variable: str | None
    default: Value
    parse: Callable[[object], Value]
    example: str
    purpose: str


def _url(value: object) -> str:
    text = _text(value).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("it must be an http or https address such as https://kilometers.example.com")
    if parts.username is not None:
        raise ValueError("it must not hold a user name or password; the API key says who you are")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must be a text that is not empty")
    return value.strip()


def _one_of(words: tuple[str, ...]) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if not isinstance(value, str) or value.lower() not in words:
            raise ValueError(f"it must be one of {', '.join(words)}")
        return value.lower()

    return parse


def _flag(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError("it must be true or false")
    return words[value.lower()]


def _number(low: float, high: float, unit: str) -> Callable[[object], float]:
    def parse(value: object) -> float:
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise ValueError(f"it must be a number of {unit} from {low} to {high}")
        return number

    return parse


def _count(low: int, high: int, unit: str) -> Callable[[object], int]:
    parse_number = _number(low, high, unit)

    def parse(value: object) -> int:
        number = parse_number(value)
        if not number.is_integer():
            raise ValueError(f"it must be a whole number of {unit} from {low} to {high}")
        return int(number)

    return parse


def expression(value: object) -> str:
    """A regular expression of redaction. One that matches nothing at all would do so everywhere."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of what a later Python may read otherwise
            compiled = re.compile(_text(value).encode())
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"it must be a regular expression of Python: {error}") from None
    if compiled.match(b""):
        raise ValueError("it must be a regular expression that does not match the empty text")
    return compiled.pattern.decode()


def _expressions(value: object) -> tuple[str, ...]:
    """A list. On the command line it is written as in TOML, and one expression may stand for itself."""
    items = _written_list(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError('it must be a list of regular expressions, such as ["sk-test-[a-z]+"]')
    return tuple(expression(item) for item in items)


def _written_list(text: str) -> list[object]:
    """`["a", "b"]`, or one expression; those too may begin with a bracket, but not with a quote within it."""
    try:
        items = tomllib.loads(f"list = {text}")["list"] if text.startswith("[") else None
    except tomllib.TOMLDecodeError as error:
        if text.startswith(('["', "['")) and text.endswith(('"]', "']")):
            raise ValueError(f"it must be a list as TOML has it, with ' around what has a backslash: {error}") from None
        items = None
    return items if items is not None and all(isinstance(item, str) for item in items) else [text]


_PRICE = _number(0, 1_000_000, "the currency")

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("api_url", "KM_API_URL", DEFAULT_API_URL, _url, DEFAULT_API_URL, "the Kilometers server"),
        Setting(
            "log_level", "KM_LOG_LEVEL", "info", _one_of(LOG_LEVELS), "info", "how much the agent writes to agent.log"
        ),
        Setting("debug", "KM_DEBUG", False, _flag, "true", "log everything, whatever log_level says"),
        Setting(
            "agent.idle_seconds",
            None,
            DEFAULT_IDLE_SECONDS,
            _number(0.1, 86_400, "seconds"),
            "30",
            "how long the agent stays when there is nothing to do",
        ),
        Setting("log.enabled", None, True, _flag, "true", "keep a local log for `km-client logs`"),
        Setting(
            "log.max_bytes",
            None,
            DEFAULT_LOG_BYTES,
            _count(1024 * 1024, 2**40, "bytes"),
            str(DEFAULT_LOG_BYTES),
            "how large the local log may grow; the oldest part goes first",
        ),
        Setting(
            "sandbox",
            "KM_SANDBOX",
            "strict",
            _one_of(SANDBOX_LEVELS),
            "strict",
            "start a plugin only if its whole sandbox holds (strict), with what holds (best-effort), without (off)",
        ),
        Setting(
            "tools.on_change",
            None,
            "report",
            _one_of(ON_CHANGE),
            "hold",
            "a tool whose definition changed: report it, or hold it until `km-client tools approve`",
        ),
        Setting("redaction.enabled", None, True, _flag, "true", "take secrets out before anything is logged or sent"),
        Setting("redaction.allow", None, (), _expressions, '["sk-test-[a-z]+"]', "what looks secret but is none"),
        Setting(
            "cost.input_per_million_tokens", None, 0.0, _PRICE, "3", "what a model's reading costs, for `logs --tokens`"
        ),
        Setting(
            "cost.output_per_million_tokens", None, 0.0, _PRICE, "15", "what its writing costs: a call's arguments"
        ),
        Setting("cost.currency", None, "USD", _text, "EUR", "the currency of both"),
    )
}
PATTERN_PREFIX = "redaction.patterns."
PATTERN_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")  # it stands in the message as `[redacted:<name>]`


def find(name: str) -> Setting | None:
    """The setting of that name; any `redaction.patterns.<name>` is one."""
    if name.startswith(PATTERN_PREFIX) and PATTERN_NAME.fullmatch(name.removeprefix(PATTERN_PREFIX)):
        return Setting(name, None, "", expression, "TICKET-[0-9]{6}", "a secret of your own, as a regular expression")
    return SETTINGS.get(name)
