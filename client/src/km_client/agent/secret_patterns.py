"""What a secret looks like: a table of markers, and the pattern that must match where a marker is found.

Markers are lower-case literals, found in one pass over the bytes; only then does a pattern look closer, anchored at
its marker. The secret is the last group a pattern closes, or its whole match (`bare` is a JSON number, which needs
quotes when it becomes text). No pattern covers a quote, and each fails after a bounded look or at its next marker, so a
hostile stream cannot make redaction quadratic.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class SecretPattern(NamedTuple):
    """One way a secret is written. `kind` is what stands in its place: `[redacted:<kind>]`."""

    kind: str
    markers: tuple[bytes, ...]
    expression: re.Pattern[bytes]


def _bytes(markers: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(marker.encode() for marker in markers)


def _token(kind: str, markers: tuple[str, ...], expression: bytes) -> SecretPattern:
    """A secret with a shape of its own, at the start of a word; `\\n` and `\\u000a` before it are no letters."""
    at_word = rb"(?:(?<![0-9A-Za-z])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4}))"
    return SecretPattern(kind, _bytes(markers), re.compile(at_word + b"(?:" + expression + b")"))


def _named(kind: str, markers: tuple[str, ...], expression: bytes) -> SecretPattern:
    """A secret known by the name before it."""
    return SecretPattern(kind, _bytes(markers), re.compile(expression, re.IGNORECASE | re.DOTALL))


_PASSWORD = rb"(?:passwords?|passwd|passphrase|pwd)"
_SECRET = (
    rb"(?:client[_-]?secret|secret(?:[_-]?(?:access)?[_-]?key)?|credentials?|cookie"
    rb"|(?:api|access|private|signing|encryption)[_-]?key|authorization"
    # A cursor or a progress token is no secret, and other programs match messages by it.
    rb"|(?<!progress)(?<!page)(?<!page_)(?<!next)(?<!next_)(?<!sync)(?<!sync_)(?<!continuation)(?<!continuation_)token)"
)
_PASSWORD_MARKERS = ("password", "passwd", "passphrase", "pwd")
_SECRET_MARKERS = (
    *("secret", "credential", "cookie", "authorization", "token", "signing_key", "signingkey"),
    *("api_key", "apikey", "api-key", "access_key", "accesskey", "access-key"),
    *("private_key", "privatekey", "private-key", "encryption_key", "encryptionkey"),
)

# `"name": "value"`, and the same inside a JSON string, where quotes are escaped once.
_JSON_TEXT = rb'"\s*:\s*"(?!")(?P<text>[^"\\]*+(?:\\.[^"\\]*+)*+)'
_JSON_NUMBER = rb'"\s*:\s*(?P<bare>-?[0-9][0-9.eE+-]*+)'
_JSON_IN_TEXT = rb'\\"\s*:\s*\\"(?!\\")(?P<inner>[^"\\]*+(?:\\\\(?:\\["\\]|[^"\\])[^"\\]*+)*+)'
# `NAME=value` as in an environment, a query string or a flag; without blanks, so that program text is left alone.
_WORD = rb"""[^\s"'\\&;,<>(){}\[\]$|=`][^\s"'\\&;,<>(){}\[\]|`]"""
_ASSIGNED = rb"""=(?:\\?["'])?(?P<word>""" + _WORD + rb"{2,}+)"
_LONG_ASSIGNED = rb"""=(?:\\?["'])?(?P<word>(?=[^\s"'\\&;,]{0,64}[0-9])""" + _WORD + rb"{7,}+)"
# `--name value`, and the two as neighbours in a JSON array of arguments.
_IF_FLAG = rb"(?P<flag>(?<=-))?"
_FLAG_VALUE = (
    rb"""(?(flag)(?:",\s*"|\\",\s*\\"|\s+)(?P<value>(?=[^\s"'\\]{0,64}[^a-z\s"'\\])[^\s"'\\-][^\s"'\\]{2,}+)|(?!))"""
)


def _any(name: bytes, *forms: bytes) -> bytes:
    return _IF_FLAG + name + b"(?:" + b"|".join(forms) + b")"


PATTERNS: tuple[SecretPattern, ...] = (
    _token("kilometers_key", ("km_",), rb"km_(?:live|test|ci|inst)_[0-9A-Za-z]{36}"),
    _token("aws_key", ("akia", "asia", "abia"), rb"A(?:KIA|SIA|BIA)[0-9A-Z]{16}(?![0-9A-Za-z])"),
    _token(
        "github_token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        rb"(?:gh[pousr]_[0-9A-Za-z]|github_pat_\w)\w{20,}+",
    ),
    _token("gitlab_token", ("glpat-",), rb"glpat-[\w-]{20,}+"),
    _token("api_key", ("sk-",), rb"sk-(?=[A-Za-z_-]{0,64}[0-9])[\w-]{20,}+"),
    _token("slack_token", ("xox", "xapp-"), rb"(?:xox[a-z]|xapp)-[\w-]{10,}+"),
    _token("google_key", ("aiza", "ya29."), rb"AIza[\w-]{35}|ya29\.[\w-]{20,}+"),
    _token(
        "stripe_key",
        ("sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_"),
        rb"(?:[sr]k_(?:live|test)|whsec)_\w{10,}+",
    ),
    _token("npm_token", ("npm_",), rb"npm_[0-9A-Za-z]{36}"),
    _token("jwt", ("eyj",), rb"(?<![_-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+"),
    _named(
        "private_key",
        ("-----begin",),
        rb"-----begin (?:[a-z0-9]+ ){0,3}private key(?: block)?-----"
        rb'(?:[^"\\-]++|\\[^"]|-(?!----end ))*+(?:-----end [a-z0-9 ]{1,60}-----)?',
    ),
    _named("authorization", ("bearer",), rb"bearer\s+(?P<secret>(?=[a-z._~+/=-]{0,64}[0-9])[\w.~+/=-]{16,}+)"),
    _named(
        "authorization",
        ("authorization",),
        rb"authorization\s*[:=]\s*(?:bearer|basic|token|digest|negotiate)\s+(?P<secret>[\w.~+/=-]{4,}+)",
    ),
    _named("url_password", ("://",), rb"""://[^\s/"'\\:@]{0,128}:(?P<secret>[^\s/"'\\@]{1,256})@"""),
    _named(
        "password",
        _PASSWORD_MARKERS,
        _any(_PASSWORD, _JSON_TEXT, _JSON_NUMBER, _JSON_IN_TEXT, _ASSIGNED, _FLAG_VALUE),
    ),
    _named("secret", _SECRET_MARKERS, _any(_SECRET, _JSON_TEXT, _JSON_IN_TEXT, _LONG_ASSIGNED, _FLAG_VALUE)),
)
