"""What must never be read in a log, taken out of the finished line, wherever in it somebody put it.

    without_secrets("Bearer km_live_0Qm3…")   → "Bearer km_live_***"

The last step of every line, tracebacks and other libraries' lines included: a library that logs an address, a header or
a body does not ask what is in it.
"""

from __future__ import annotations

import re
from typing import get_args

from km_protocol.api_keys import KeyKind

_KEYS = rf"(km_(?:{'|'.join(get_args(KeyKind))})_)[0-9A-Za-z]{{12,}}"  # also one that was cut short
_TOKENS = r"(eyJ)[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]*)?"  # a JSON Web Token begins with `{"` in base64
_CREDENTIALS = r"(\b(?:bearer|basic|token)\s+)(?!km_|eyJ)[0-9A-Za-z._~+/=-]{16,}"
_PASSWORDS = r"(\w://[^\s/:@\"']*:)[^\s/@\"']+(?=@)"  # of a database's or a broker's address
_COOKIES = r"(\b(?:sessionid|csrftoken)=)[^\s;,\"']+"
_SECRETS = re.compile("|".join((_KEYS, _TOKENS, _CREDENTIALS, _PASSWORDS, _COOKIES)), re.IGNORECASE)


def without_secrets(line: str) -> str:
    """`line` with `***` in place of API keys, tokens, credentials, cookies and passwords in addresses."""
    return _SECRETS.sub(lambda match: f"{match[match.lastindex or 0]}***", line)
