"""Read a JSON document strictly and completely: every problem is found, each with the JSON path it is at.

    problems: list[Problem] = []
    document = Reader(decode(data, problems), "$", problems)
    name = document.text("name", pattern=NAME, hint="…")
    document.refuse_unknown()

A value that is wrong is reported once and replaced by a harmless one, so that reading can go on to the next problem.
Refused before anything is read: more than `limit` bytes, invalid UTF-8, a byte order mark, NaN and infinities, numbers
too long to be numbers, the same key twice, nesting deeper than `MAX_DEPTH`.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator

from km_protocol.errors import Problem

type_names = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
MAX_DEPTH = 32
MAX_DIGITS = 20  # a 64-bit number and its sign; Python needs quadratic time for long ones
MISSING = object()


class _Pairs(list[tuple[str, object]]):
    """An object as its pairs, so that a key written twice is still seen."""


def decode(data: bytes, problems: list[Problem], *, limit: int) -> object:
    """The document as plain values; on a problem that leaves nothing to read, `{}`."""
    if len(data) > limit:
        problems.append(Problem("$", f"the file has {len(data):,} bytes; at most {limit:,} are read"))
        return {}
    try:
        raw = json.loads(
            data.decode(), object_pairs_hook=_Pairs, parse_constant=_refuse, parse_float=_finite, parse_int=_whole
        )
        return _plain(raw, "$", problems, 0)
    except UnicodeDecodeError as error:
        problems.append(Problem("$", f"invalid UTF-8 at byte {error.start}", "save the file as UTF-8"))
    except json.JSONDecodeError as error:
        problems.append(Problem("$", f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"))
    except (ValueError, RecursionError) as error:
        problems.append(Problem("$", f"not JSON that can be read: {_short(error)}"))
    return {}


def _refuse(word: str) -> object:
    raise ValueError(f"`{word}` is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"`{text[:20]}` is out of range")
    return number


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"the number {text[:10]}… has too many digits")
    return int(text)


def _short(error: BaseException) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _plain(value: object, path: str, problems: list[Problem], depth: int) -> object:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels at {path[:60]}…")
    if isinstance(value, _Pairs):
        result: dict[str, object] = {}
        for key, item in value:
            if key in result:
                problems.append(Problem(child(path, key), "this key is written twice", "keep one of them"))
            result[key] = _plain(item, child(path, key), problems, depth + 1)
        return result
    if isinstance(value, list):
        return [_plain(item, f"{path}[{index}]", problems, depth + 1) for index, item in enumerate(value)]
    if isinstance(value, str) and any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
        problems.append(Problem(path, "holds half a character (a lone surrogate)"))
        return ""
    return value


def child(path: str, key: str) -> str:
    """`$.a` and `b` → `$.a.b`; a key that is no plain word is quoted: `$.a["b c"]`."""
    return f"{path}.{key}" if re.fullmatch(r"[A-Za-z_$][\w$-]*", key) else f"{path}[{json.dumps(key[:60])}]"


class Reader:
    """One object of the document. Each method reads one key and reports what is wrong with it."""

    def __init__(self, value: object, path: str, problems: list[Problem]) -> None:
        self.path, self.problems = path, problems
        self._seen: list[str] = []
        self._values: dict[str, object] = value if isinstance(value, dict) else {}
        if not isinstance(value, dict):
            self.report(path, f"must be an object, not {name_of(value)}")

    def report(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(path, message, hint))

    def take(self, key: str, kind: type, *, required: bool = False, hint: str = "") -> object:
        """The value under `key` when it is of `kind`, else `MISSING` (reported unless it may be left out)."""
        self._seen.append(key)
        value = self._values.get(key, MISSING)
        if value is MISSING:
            if required:
                self.report(child(self.path, key), "is missing", hint)
        elif type(value) is not kind:
            self.report(child(self.path, key), f"must be {type_names[kind]}, not {name_of(value)}", hint)
            return MISSING
        return value

    def has(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, *, required: bool = True, pattern: str = "", longest: int = 200, hint: str = "") -> str:
        """A string of 1 to `longest` characters, the whole of which matches `pattern`; "" when there is none."""
        value = self.take(key, str, required=required, hint=hint)
        if not isinstance(value, str):
            return ""
        path = child(self.path, key)
        if not value.strip():
            self.report(path, "is empty", hint)
        elif len(value) > longest:
            self.report(path, f"has {len(value)} characters; at most {longest} are allowed", hint)
        elif pattern and not re.fullmatch(pattern, value, re.ASCII):
            self.report(path, f"`{value}` is not of the right form", hint)
        elif any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in value):
            self.report(path, "holds a control character")
        else:
            return value
        return ""

    def flag(self, key: str, *, default: bool = False, required: bool = False, hint: str = "") -> bool:
        value = self.take(key, bool, required=required, hint=hint)
        return value if isinstance(value, bool) else default

    def object(self, key: str, *, required: bool = False, hint: str = "") -> Reader:
        """The object under `key`; when there is none, an empty one whose own missing keys nobody reports again."""
        value = self.take(key, dict, required=required, hint=hint)
        if value is MISSING:
            return Reader({}, child(self.path, key), [])
        return Reader(value, child(self.path, key), self.problems)

    def words(self, key: str, *, most: int) -> Iterator[tuple[str, str]]:
        """(path, string) of each item of the array under `key`; items of another type are reported and left out."""
        value = self.take(key, list)
        path = child(self.path, key)
        items = value if isinstance(value, list) else []
        if len(items) > most:
            self.report(path, f"has {len(items)} items; at most {most} are allowed")
        for index, item in enumerate(items[:most]):
            if isinstance(item, str):
                yield f"{path}[{index}]", item
            else:
                self.report(f"{path}[{index}]", f"must be a string, not {name_of(item)}")

    def refuse_unknown(self) -> None:
        """Report every key that was not read: a misspelt permission must not pass for an absent one."""
        for key in self._values:
            if key not in self._seen:
                near = difflib.get_close_matches(key, self._seen, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(self._seen)}"
                self.report(child(self.path, key), "is not a key of a manifest", hint)


def name_of(value: object) -> str:
    return type_names.get(type(value), "a number")
