"""Whether a value that is named like a secret is one.

A name alone says too little: `password: str`, `token=next(tokens)`, `"secret": "<your-secret>"` and `"cookie": "0.7.2"`
are program text, placeholders and versions. Each function takes bytes and answers in bounded time.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter

LOOK_BYTES = 256  # of a long value, its beginning says what it is

_PLACEHOLDER = re.compile(
    rb"""(?ix)
    <.*> | \$\{.* | \$\(.* | \$[a-z_]+ | \{.*\} | %\(?[a-z_]+\)?[sd]?%? | \[.*\] | @[a-z_]+@ | .*\$\{.* | .*\{\{.*
    | [*.\#_?-]+ | x{3,} | .*[*]{3,}.* | .*\.\.\. | .*x{4,}
    | [\x20-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]* | .*(?:\xe2\x80\xa6|\\u2026)
    | (?:your|enter|insert|replace|paste|example|sample|dummy|placeholder|todo|fixme)(?:[-_.\ ].*)?
    | (?:(?:my|some|the|new|old|user|admin|test|your|a|an)[-_.\ ]?)?
      (?:pass|passwd|password|passphrase|pwd|pw|secret|token|key|api[-_]?key|cookies?|credentials?|auth|authorization)
    | (?:bearer|basic|str|string|text|bytes|int|integer|number|bool|boolean|any|none|null|nil|true|false|undefined|void
      |object|array|required|optional|yes|no|on|off|hidden|redacted|removed|empty|default|unset|self|value|user|username)
    | (?:process\.env|os\.environ|os\.getenv|env|secrets|vars|self|this|config|settings|args|options?|params
      |req(?:uest)?)[.(\[].*
    """
)
_VERSION = re.compile(
    rb"(?i)[\^~><=v ]*[0-9]+(?:\.[0-9x*]+)+(?:[-+.][0-9a-z.-]*)?|\*|latest|workspace:.*|file:.*|npm:.*"
)
_PATH = re.compile(
    rb"(?i)(?:~|\.{1,2}|[a-z]:)?[/\\](?:etc|home|usr|var|opt|tmp|run|root|users|app|data|mnt|srv|secrets?|[.~]).*"
    rb"|(?:~|\.{1,2})/.*|[\w./~-]+\.(?:pem|key|json|ya?ml|toml|txt|crt|cer|py|js|ts|md|go|rs|p12|pfx|env|pub|html?)"
)
_ADDRESS = re.compile(rb"(?i)[a-z][a-z0-9+.-]{1,20}:\\?/\\?/[^@]*")
_IDENTIFIER = re.compile(rb"[A-Za-z_$][A-Za-z_$]*(?:[.:-]{1,2}[A-Za-z_$]+)*")
_WORDS = re.compile(rb"[A-Za-z'(]+[.,:;!?)]*(?:[ -][A-Za-z'(]+[.,:;!?)]*)*")
_ABOUT = re.compile(
    rb"(?i)pass(?:word|phrase)|token|secret|key|cookie|credential|header|enter|auth|invalid|missing|required"
)


def is_placeholder(value: bytes) -> bool:
    """What stands where a secret would, or says that one goes there. `value` is without its quotes."""
    head = value[:LOOK_BYTES]
    return not head.strip() or _PLACEHOLDER.fullmatch(head) is not None or _is_sentence(head)


def _is_sentence(head: bytes) -> bool:
    return b" " in head and _WORDS.fullmatch(head) is not None and _ABOUT.search(head) is not None


def is_reference(value: bytes) -> bool:
    """A version, a file's path or an address: it names where something is found, and is no secret."""
    head = value[:LOOK_BYTES]
    return any(form.fullmatch(head) is not None for form in (_VERSION, _PATH, _ADDRESS))


def is_version(value: bytes) -> bool:
    """`^1.2.1`: a package may be named `pbkdf2-password`, and a lock file then has its version behind it."""
    return _VERSION.fullmatch(value[:LOOK_BYTES]) is not None


def is_identifier(value: bytes) -> bool:
    """A name of program text, `self.token` or `required`: letters only, in one or more parts."""
    return _IDENTIFIER.fullmatch(value[:LOOK_BYTES]) is not None


def is_path_like(value: bytes) -> bool:
    """A directory of a volume or a group, as `docker run -u me:staff` has them."""
    return re.fullmatch(rb"[a-z0-9_/.-]*", value[:LOOK_BYTES]) is not None and not has_digit(value)


def is_program_name(value: bytes) -> bool:
    """`Ed25519PrivateKey` or `base64.b64encode`: words with a number among them, where random letters would change from
    lower to upper case and to digits at every second step.
    """
    head = value[:LOOK_BYTES]
    if re.fullmatch(rb"[A-Za-z_][A-Za-z0-9_.-]*", head) is None or re.search(rb"[a-z]{4}", head) is None:
        return False
    changes = len(re.findall(rb"[a-z]+|[A-Z]+|[0-9]+|[_.-]+", head)) - 1
    return changes < 0.38 * len(head) and len(re.findall(rb"[0-9]", head)) < 0.35 * len(head)


def has_digit(value: bytes) -> bool:
    return re.search(rb"[0-9]", value[:LOOK_BYTES]) is not None


def entropy(value: bytes) -> float:
    """Shannon's, in bits a byte; random base64 of 32 bytes has about 4.5, hexadecimal 3.5, words 3."""
    counts = Counter(value[:LOOK_BYTES])
    total = sum(counts.values())
    return -sum(count / total * math.log2(count / total) for count in counts.values())


def is_random(value: bytes, *, length: int = 16, bits: float = 3.0) -> bool:
    """Long, with a digit among its letters, and no byte prevailing."""
    head = value[:LOOK_BYTES]
    return (
        len(head) >= length and has_digit(head) and re.search(rb"[A-Za-z]", head) is not None and entropy(head) >= bits
    )


def classes(value: bytes) -> int:
    """How many of lower case, upper case, digits and signs there are in it."""
    head = value[:LOOK_BYTES]
    return sum(re.search(each, head) is not None for each in (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^A-Za-z0-9\s_.-]"))


def decoded(value: bytes) -> bytes:
    """The bytes that base64 text stands for, of its beginning; empty if it is none."""
    head = value[:LOOK_BYTES].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(head[: len(head) - (len(head) % 4 == 1)] + b"=" * (-len(head) % 4), validate=True)
    except binascii.Error:
        return b""


def is_name_and_password(value: bytes) -> bool:
    """What HTTP's Basic scheme sends (RFC 7617): base64 of `name:password`."""
    text = decoded(value)
    return b":" in text[:-1] and all(32 <= byte < 127 or byte >= 160 for byte in text)
