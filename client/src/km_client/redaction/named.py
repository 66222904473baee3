"""A value with the name of a secret before it, in the ways that JSON, environments, program text and prose write it.

    {"password": "…"}     export FOO_TOKEN=…     api_key = "…"     password: …     --token …

The more a form is also that of program text, the more the value itself must look like a secret.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from km_client.redaction import plausible
from km_client.redaction.pattern import SecretPattern, carried

# What may stand between the name and its value's sign: `password1`, `SECRET_KEY_BASE`, `TOKEN_PROD`.
_REST = rb"(?:[_-]?(?:base|value|prod|production|staging|dev|test|live|data|b64|base64|[0-9]{1,2}))?"
_KEYS_OF = (
    "api app access account private signing signature encryption master license storage service auth webhook deploy"
    " client"
)
_PASSWORD = rb"(?:passwords?|passwd|passphrase|passwort|pwd|passcode|(?:[_-]|db)pass(?![a-z])|\"pass(?=\\*\"))" + _REST
_SECRET = (
    rb"(?:client[_-]?secret|secret(?:[_-]?(?:access)?[_-]?key)?|credentials?|cookie|authorization"
    rb"|(?:" + _KEYS_OF.replace(" ", "|").encode() + rb")[_-]?key|_auth(?![a-z])|\"auth(?=\\*\")|token)" + _REST
)
_PASSWORD_MARKERS = 'password passwd passphrase passwort pwd passcode _pass -pass dbpass "pass'  # noqa: S105 - names, no secret
_SECRET_MARKERS = 'secret credential cookie authorization token _auth "auth ' + " ".join(
    f"{word}{joint}key" for word in _KEYS_OF.split() for joint in ("_", "-", "")
)
# Where a value ends that began behind as many backslashes and a quote: behind as many, and any pairs of one more.
_TEXT_END = rb'(?:(?P=depth)\\(?P=depth)\\)*+(?P=depth)"'
_JSON = (
    rb'(?P<depth>\\*)"\s*:\s*(?:(?P=depth)"(?!(?P=depth)")'
    rb'(?P<text>(?:[^"\\]++|\\++(?!["\\])|(?!' + _TEXT_END + rb')(?P=depth)\\++")*+)'
    rb"|(?P<bare>-?[0-9][0-9.eE+-]*+))"
)
_FIRST = rb"""[^\s"'\\&;,<>(){}\[\]$|=`]"""
_WORD = _FIRST + rb"""[^\s"'\\&;,<>(){}\[\]|`]++"""
# `NAME=value` as in an environment, a query string or a flag, without blanks.
_ASSIGNED = rb"""=(?:\\*["'])?(?P<word>""" + _WORD + rb")"
# `name = "value"`, `name: 'value'`, `["name"] = "value"`, `:name => "value"`, `name := "value"`.
_QUOTED = rb"""(?:\\*["'])?\]?[ \t]*(?:=>|[:?]?=|:)[ \t]*(?P<quote>\\*["'`])(?P<quoted>[^\s"'\\`]{3,512})(?P=quote)"""
# `name: value` or `name = value` to the end of its line.
_PLAIN = (
    rb"""(?:\\*["'])?(?:[ \t]*:[ \t]+|[ \t]+[:?]?=[ \t]+|:(?!:)|[ \t]*\|[ \t]*)(?P<plain>"""
    + _FIRST
    + rb"""[^\s"'\\&;,<>(){}\[\]|`]{1,511}+)(?=\\+[nrt]|\\*["']|[ \t]|[\r\n,;]|$)"""
)
# `--name value`, and the two as neighbours in a JSON array of arguments.
_FLAG = rb"""(?:\\*",\s*\\*"|\s+)(?P<flag>[^\s"'\\-][^\s"'\\]{2,}+)"""
# `<name>value</name>`, and the pair that lists of variables are made of: `"name": "FOO_TOKEN", "value": "…"`.
_ELEMENT = rb""">(?P<element>[^<>\s"\\]{3,512})</"""
_LISTED = (
    rb"""(?:\\*+["'])?+(?:,|\\++[nr]|\s)(?:\\++[nrt]|\s)*+"""
    rb"""\\*+["']?value\\*+["']?\s*+[:=]\s*+\\*+["']?(?P<listed>[^\s"'\\,}]{3,512})"""
)
# Anything between them that is short, if what follows is long and random.
_LOOSE = rb"""(?:[ \t|:=>,"'\\]|\bis\b|\bto\b){1,8}(?P<loose>[A-Za-z0-9+/_.=~-]{16,512}+)(?![\w(\[:.])"""

# Names that end like a secret's and are none: what other programs match messages by, and parts of speech of a model.
_OTHER_NAMES = re.compile(
    rb"(?i)(?:(?:progress|page|next|sync|continuation|continue|cursor|cancel(?:lation)?|resume|pagination|public|design)"
    rb"|(?<![a-z])(?:skip|delta|start|end|eos|bos|pad|unk|sep|cls|mask|stop|max|min|num|special))[_-]?$|::\w*$"
)
_LOOK_BACK = 24  # the longest of those names, and a joint


class _Named(NamedTuple):
    """What a match says: how it was written, and its value."""

    form: str
    value: bytes
    match: re.Match[bytes]

    @property
    def is_in_prose(self) -> bool:
        """Whether more words follow on the value's line."""
        end = self.match.end()
        return re.match(rb"[ \t]+[^\s#\\\"']", self.match.string[end : end + 8]) is not None

    def before(self, width: int) -> bytes:
        start = self.match.start()
        return self.match.string[max(0, start - width) : start]


def _read(match: re.Match[bytes]) -> _Named:
    form = match.lastgroup or ""
    return _Named(form, match[form], match)


def quote_of(match: re.Match[bytes]) -> bytes:
    """The quotes that a note needs around it, where a JSON number was the secret: `{"password": 0}`."""
    found = match.groupdict()
    return found["depth"] + b'"' if found.get("bare") and found.get("depth") is not None else b""


def _is_password(match: re.Match[bytes]) -> bool:
    named = _read(match)
    value = named.value
    if named.form == "bare":
        return True
    if plausible.is_placeholder(value) or plausible.is_version(value):
        return False
    if named.form in {"text", "element", "listed"}:
        return True
    if named.form == "word":
        return _is_of_environment(named) or _is_no_code(value)
    if named.form == "flag":
        return _is_flag(named) and not re.fullmatch(rb"[a-z]+", value)
    if named.form == "plain" and named.is_in_prose:
        return _is_no_code(value) and len(value) >= 8 and plausible.classes(value) > 2
    return _is_no_code(value) and (named.form != "plain" or plausible.classes(value) > 1)


def _is_secret(match: re.Match[bytes]) -> bool:
    named = _read(match)
    value = named.value
    if named.form == "bare" or _OTHER_NAMES.search(named.before(_LOOK_BACK)):
        return False
    if plausible.is_placeholder(value) or plausible.is_reference(value):
        return False
    if named.form == "text":
        return _is_whole_name(named) or not plausible.is_identifier(value)
    if not plausible.has_digit(value):
        return False
    if named.form == "flag":
        return _is_flag(named)
    if named.form == "loose":
        return _is_random(value, 3.0)
    if named.form in {"word", "element", "listed"}:
        return len(value) >= 8 and (_is_of_environment(named) or plausible.is_random(value, bits=2.5))
    return _is_random(value, 2.5)


def _is_random(value: bytes, bits: float) -> bool:
    is_mixed = plausible.is_random(value, bits=bits) and plausible.classes(value) > 1
    return is_mixed and _is_no_code(value) and not plausible.is_program_name(value)


def _is_whole_name(named: _Named) -> bool:
    """`"api_key"` and `"accessToken"` are names of secrets; a mere `"token"` or `"cookie"` may hold a word."""
    name = named.match.string[named.match.start() : named.match.start() + 12].lower()
    mere = name.startswith((b'token"', b"token\\", b'cookie"', b"cookie\\", b"credential", b'auth"', b"auth\\"))
    return not mere or named.before(1) not in {b'"', b""}


def _is_of_environment(named: _Named) -> bool:
    """`NAME=` in capitals, `--name=` and `?name=` are never program text."""
    before = named.before(64)
    name = re.search(rb"[A-Za-z0-9_.-]*$", before)
    start = len(before) - (len(name.group()) if name else 0)
    whole = (name.group() if name else b"") + named.match.group().partition(b"=")[0]
    return whole.startswith(b"-") or whole == whole.upper() or before[start - 1 : start] in {b"?", b"&"}


def _is_flag(named: _Named) -> bool:
    before = named.before(64)
    return re.search(rb"(?:^|[\s\"'])(?:--?(?:[A-Za-z0-9]+-)*[A-Za-z0-9]*|setx\s+[A-Za-z0-9_]*)$", before) is not None


def _is_no_code(value: bytes) -> bool:
    """With a digit or a sign that names do not have, and without the parentheses of a call."""
    if re.search(rb"[(){}\[\]<>|]", value) or plausible.is_identifier(value):
        return False
    return plausible.has_digit(value) or re.search(rb"[!@#%^*?~+]", value) is not None


_FORMS = (_JSON, _QUOTED, _ASSIGNED, _PLAIN, _ELEMENT, _LISTED, _FLAG)


def _any(name: bytes, *forms: bytes) -> bytes:
    return name + b"(?:" + b"|".join(forms) + b")"


PATTERNS: tuple[SecretPattern, ...] = (
    carried("password", _PASSWORD_MARKERS, _any(_PASSWORD, *_FORMS), _is_password),
    carried("secret", _SECRET_MARKERS, _any(_SECRET, *_FORMS, _LOOSE), _is_secret),
)
