"""The one function that turns a value into the bytes that get signed, and its strict inverse.

    dumps({"b": [1, True], "a": None})      b'{"a":null,"b":[1,true]}'
    loads(b'{"a":null,"b":[1,true]}')       {"a": None, "b": [1, True]}
    loads(b'{"b":[1,true],"a":null}')       CanonicalError: these bytes are not what `dumps` writes

RFC 8785 restricted to what is signed here: strings, whole numbers up to 2⁵³-1 either way, true, false, null, lists and
objects. Keys are sorted by their UTF-16 code units, nothing is escaped that need not be, there is no space. Fractions
are refused, because no two languages write all of them alike. A value has one spelling, so `loads` takes no other: a
key written twice, a space, `\\u0041` for `A` and `1.0` for `1` are all refused by one comparison.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from km_protocol.errors import CanonicalError

JSON = None | bool | int | str | Sequence["JSON"] | Mapping[str, "JSON"]
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # what every JSON reader keeps exactly (RFC 7493, section 2.2)
_MAX_DIGITS = 17  # with a sign; Python needs quadratic time for long ones


def dumps(value: object) -> bytes:
    """Raises `CanonicalError` naming the path of what cannot be signed."""
    ordered = _ordered(value, "$", 0)
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


def loads(data: bytes, *, limit: int) -> object:
    """The value `data` is the canonical form of; at most `limit` bytes are read. Raises `CanonicalError`."""
    if len(data) > limit:
        raise CanonicalError(f"it has {len(data):,} bytes; at most {limit:,} are read")
    try:
        value = json.loads(data.decode(), parse_int=_whole, parse_float=_refused, parse_constant=_refused)
    except UnicodeDecodeError as error:
        raise CanonicalError(f"invalid UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise CanonicalError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise CanonicalError("it is nested too deeply") from None
    if dumps(value) != data:
        raise CanonicalError("not in canonical form: a key twice or out of order, a space, or an escape too many")
    return value


def _ordered(value: object, path: str, depth: int) -> object:
    """`value` checked, with every object's keys in order. Exact types: a subclass may print as it likes."""
    if depth > MAX_DEPTH:
        raise CanonicalError(f"it is nested deeper than {MAX_DEPTH} levels")
    if value is None or type(value) is bool:
        return value
    if type(value) is int:
        return _in_range(value, path)
    if type(value) is str:
        return _unicode(value, path)
    if type(value) in {list, tuple}:
        items: Sequence[object] = value  # type: ignore[assignment]
        return [_ordered(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(items)]
    if type(value) is dict:
        keys = sorted((_key(key, path) for key in value), key=_utf16)
        return {key: _ordered(value[key], f"{path}.{key}", depth + 1) for key in keys}
    raise CanonicalError(f"a value of type {type(value).__name__} at {path} cannot be signed")


def _key(key: object, path: str) -> str:
    if type(key) is not str:
        raise CanonicalError(f"a key of type {type(key).__name__} at {path} cannot be signed")
    return _unicode(key, path)


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def _unicode(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CanonicalError(f"half a character (a lone surrogate) at {path}") from None
    return text


def _in_range(number: int, path: str) -> int:
    if abs(number) > MAX_INTEGER:
        raise CanonicalError(f"a number at {path} is beyond {MAX_INTEGER:,}, which not every reader keeps exactly")
    return number


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise CanonicalError(f"the number {text[:10]}… has too many digits")
    return int(text)


def _refused(text: str) -> object:
    raise CanonicalError(f"`{text[:20]}` is no whole number")
