"""The API key format: `km_<kind>_` + 30 base62 characters + 6 base62 characters of CRC-32.

    km_live_0Qm3…30…Zk8TpR2aBc1
            └ random, 178 bits ┘└ CRC-32 of everything before it

The checksum is no secret: it lets a client refuse a mistyped key offline and a scanner tell a real key from a
look-alike. Only the random part keeps strangers out; the server stores an HMAC of the whole.
"""

from __future__ import annotations

import re
import zlib
from typing import Literal, NewType, cast, get_args

from km_protocol.errors import MalformedKeyError

KeyKind = Literal["live", "test", "ci", "inst"]
ApiKey = NewType("ApiKey", str)
"""A string that passed `parse`: well-formed, which says nothing about whether a server knows it."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY_LENGTH = 30
CHECKSUM_LENGTH = 6  # 62**6 > 2**32
DISPLAY_LENGTH = 12  # `km_live_` and four random characters: enough to tell keys apart, far too little to guess one

_PATTERN = re.compile(
    rf"(?<![0-9A-Za-z_])km_({'|'.join(get_args(KeyKind))})_([0-9A-Za-z]{{{BODY_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})(?![0-9A-Za-z])"
)


def compose(kind: KeyKind, body: str) -> ApiKey:
    """Build the key whose random part is `body`: 30 characters of `ALPHABET`, chosen by the caller's CSPRNG."""
    if len(body) != BODY_LENGTH or not set(body) <= set(ALPHABET):
        raise MalformedKeyError(f"an API key needs {BODY_LENGTH} base62 characters, got {len(body)}")
    head = f"km_{kind}_{body}"
    return ApiKey(head + _checksum(head))


def parse(text: str) -> ApiKey:
    """Prove that `text` is a well-formed key. Raises `MalformedKeyError`, which never repeats the key itself."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise MalformedKeyError(
            "this is not a Kilometers API key: it should be `km_live_` followed by 36 letters and digits",
            "copy the whole key from the page that showed it; keys are shown once, so issue a new one if it is lost",
        )
    if _checksum(text[:-CHECKSUM_LENGTH]) != match.group(3):
        raise MalformedKeyError(
            f"the API key starting `{display(ApiKey(text))}` has a typing mistake: its checksum does not match",
            "copy the whole key again rather than typing it",
        )
    return ApiKey(text)


def kind(key: ApiKey) -> KeyKind:
    """What the key is for: `live`, `test`, `ci` or `inst` (one installation)."""
    return cast(KeyKind, key.split("_", 2)[1])


def display(key: ApiKey) -> str:
    """The part that may be shown and logged."""
    return key[:DISPLAY_LENGTH]


def find(text: str) -> list[ApiKey]:
    """Every real key in `text`, in order; look-alikes with a wrong checksum are not keys."""
    return [
        ApiKey(match.group(0))
        for match in _PATTERN.finditer(text)
        if _checksum(match.group(0)[:-CHECKSUM_LENGTH]) == match.group(3)
    ]


def _checksum(head: str) -> str:
    number, digits = zlib.crc32(head.encode()), ""
    while number:
        number, remainder = divmod(number, len(ALPHABET))
        digits = ALPHABET[remainder] + digits
    return digits.rjust(CHECKSUM_LENGTH, ALPHABET[0])
