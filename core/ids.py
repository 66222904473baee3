"""Public ids: what people and tokens see instead of a row's number.

    cus_7Yd0PqV2mRk4TzWx1BcA      a customer
    key_0aXv9QbTn31LpEr8SdUy      an API key (its id, not the key)

Random, so that one id tells nothing about another; base62, so that a double click selects the whole.
"""

from __future__ import annotations

import secrets

from km_protocol.api_keys import ALPHABET

TAIL_LENGTH = 20  # 119 bits: no collision to plan for, and short enough for a log line


def public_id(prefix: str) -> str:
    """A new id `<prefix>_` + 20 base62 characters."""
    return f"{prefix}_{random_text(TAIL_LENGTH)}"


def random_text(length: int) -> str:
    """`length` base62 characters from the system's random source."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
