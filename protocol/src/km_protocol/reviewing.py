"""How a reviewer proves to the service who asks: with the key that certifies, and with nothing else.

    Authorization: KM-Reviewer key=3f9a0c41d2e81b77,at=1795370400,signature=kQ3v…

The signature is over `request_bytes`, so a proof is good for one request, for five minutes. A new key is proved by its
signature over `possession_bytes` of a challenge that the service gave to a person it knows. Both carry a DSSE payload
type of their own: neither can pass for the signature under a review's statement, nor the one for the other.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NamedTuple

from km_protocol import canonical
from km_protocol.kmpkg import dsse, keys

SCHEME = "KM-Reviewer"
LEEWAY_SECONDS = 300  # clocks of laptops, and a passphrase typed slowly
MAX_CHALLENGE_CHARACTERS = 400
_REQUEST = "application/vnd.kilometers.review-request+json"
_POSSESSION = "application/vnd.kilometers.reviewer-key+json"
_HEADER = re.compile(rf"{SCHEME} key=([0-9a-f]{{{keys.ID_DIGITS}}}),at=([0-9]{{1,12}}),signature=([A-Za-z0-9_-]{{86}})")


class Proof(NamedTuple):
    """What a request's `Authorization` claims: `at` in Unix seconds, `signature` raw."""

    key_id: str
    at: int
    signature: bytes


def request_bytes(method: str, target: str, at: int, body: bytes) -> bytes:
    """What is signed for one request; `target` is its path with its query, as it is sent."""
    claim = {"at": at, "body_sha256": hashlib.sha256(body).hexdigest(), "method": method, "target": target}
    return dsse.pae(_REQUEST, canonical.dumps(claim))


def possession_bytes(challenge: str, public: bytes) -> bytes:
    """What the holder of `public`'s private half signs to have it registered."""
    return dsse.pae(_POSSESSION, canonical.dumps({"challenge": challenge, "public_key": keys.to_text(public)}))


def authorization(proof: Proof) -> str:
    """The header's value."""
    return f"{SCHEME} key={proof.key_id},at={proof.at},signature={signature_text(proof.signature)}"


def read_authorization(header: str) -> Proof | None:
    """What `authorization` wrote; `None` for anything else."""
    match = _HEADER.fullmatch(header)
    if match is None:
        return None
    signature = signature_from(match[3])
    return Proof(match[1], int(match[2]), signature) if signature else None


def signature_text(signature: bytes) -> str:
    """64 bytes in base64url, 86 characters."""
    return keys.to_text(signature)


def signature_from(text: str) -> bytes | None:
    """The 64 bytes that `signature_text` wrote; `None` for any other text."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{86}", text, re.ASCII):
        return None
    raw = base64.urlsafe_b64decode(f"{text}==")
    return raw if keys.to_text(raw) == text else None
