"""Session ids in addresses. A client may call its session anything of up to 128 characters; an address may not hold
everything (`/`, `..`, a line break), so what is not plain travels as `~` and base64.

    019aa1f2-7c33-7…     /app/sessions/019aa1f2-7c33-7…
    team/../42           /app/sessions/~dGVhbS8uLi80Mg
"""

from __future__ import annotations

import base64
import binascii
import re

PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.:-]*")


class SessionIdConverter:
    """Django path converter `<session_id:…>`."""

    regex = r"~[A-Za-z0-9_-]*|[A-Za-z0-9_.:-]+"

    def to_python(self, value: str) -> str:
        """The session id an address names. `ValueError`, which Django answers as 404, when it names none."""
        if not value.startswith("~"):
            return value
        encoded = value[1:]
        try:
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
        except binascii.Error as error:
            raise ValueError(f"`{value}` is not a session id") from error

    def to_url(self, value: str) -> str:
        """The address part for a session id."""
        if PLAIN.fullmatch(value):
            return value
        return "~" + base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
