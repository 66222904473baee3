"""DSSE envelopes (https://github.com/secure-systems-lab/dsse, v1): a payload, its type, and signatures over both.

    {"payload":"eyJ…","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"3f9a…","sig":"…"}]}

What is signed is `pae(type, payload)`, never JSON, so nothing can be read in two ways between signing and checking. The
reader is stricter than the specification, since only our own writers feed it: the envelope is canonical JSON, base64 is
the standard alphabet in its one spelling, every signature names its key and no key signs twice, and a signature that
claims a trusted key and is not its own spoils the envelope. Signatures of keys nobody trusts are passed over.
`securesystemslib` reads these envelopes too.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from km_protocol import canonical
from km_protocol.errors import CanonicalError, SignatureError
from km_protocol.kmpkg import keys as key_forms

IN_TOTO = "application/vnd.in-toto+json"
MAX_PAYLOAD_BYTES = 512 * 1024  # a provenance with a thousand materials has 200 KB
MAX_ENVELOPE_BYTES = 768 * 1024  # the same in base64, with its signatures
MAX_SIGNATURES = 16
_AGAIN = "fetch the package again"


class Signer(Protocol):
    """Whoever holds a private key: a file, a module, a service."""

    @property
    def keyid(self) -> str: ...

    def sign(self, data: bytes) -> bytes: ...


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """As it stands in the file; `read` has found its form to be right, and nobody has looked at the signatures."""

    payload: str
    payload_type: str
    signatures: list[Signature]


class Opened(NamedTuple):
    """A payload, and the ids of the trusted keys that signed it, sorted."""

    payload: bytes
    signers: tuple[str, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: `DSSEv1 29 http://example.com/HelloWorld 11 hello world`."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, keys: Sequence[Signer], *, payload_type: str = IN_TOTO) -> bytes:
    """The envelope's bytes. Raises `SignatureError` when a key is given twice."""
    message = pae(payload_type, payload)
    return _write(payload, payload_type, {key.keyid: _text(key.sign(message)) for key in keys}, expected=len(keys))


def merge(envelopes: Sequence[bytes]) -> bytes:
    """One envelope with the signatures of all, which hold the same payload: how two reviewers sign one statement."""
    read_all = [read(envelope) for envelope in envelopes]
    if len({(envelope.payload_type, envelope.payload) for envelope in read_all}) != 1:
        raise SignatureError("envelope_invalid", "the envelopes do not hold one and the same payload")
    signatures = [signature for envelope in read_all for signature in envelope.signatures]
    by_key = {signature.keyid: signature.sig for signature in signatures}
    return _write(payload_of(read_all[0]), read_all[0].payload_type, by_key, expected=len(signatures))


def read(data: bytes) -> Envelope:
    """The envelope's form alone is checked. Raises `SignatureError`."""
    try:
        envelope = msgspec.convert(canonical.loads(data, limit=MAX_ENVELOPE_BYTES), Envelope, strict=True)
    except (CanonicalError, msgspec.ValidationError) as error:
        raise _invalid(str(error)) from None
    names = [signature.keyid for signature in envelope.signatures]
    if not 1 <= len(names) <= MAX_SIGNATURES:
        raise _invalid(f"it holds {len(names)} signatures; 1 to {MAX_SIGNATURES} are allowed")
    if len(set(names)) != len(names):
        raise _invalid("one key signed it twice")
    payload_of(envelope)
    return envelope


def payload_of(envelope: Envelope) -> bytes:
    """What the envelope claims; `verify` says whether it is true."""
    payload = _decoded(envelope.payload, "the payload")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _invalid(f"its payload has {len(payload):,} bytes; at most {MAX_PAYLOAD_BYTES:,} are read")
    return payload


def verify(envelope: bytes, keys: Mapping[str, bytes], threshold: int, *, payload_type: str = IN_TOTO) -> bytes:
    """The payload, when at least `threshold` different keys of `keys` signed it. Raises `SignatureError`."""
    return opened(envelope, keys, threshold, payload_type=payload_type).payload


def opened(envelope: bytes, keys: Mapping[str, bytes], threshold: int, *, payload_type: str = IN_TOTO) -> Opened:
    """As `verify`, and who signed. Two ids of one key count once."""
    if threshold < 1:
        raise ValueError(f"a threshold of {threshold} would let anything pass")
    found = read(envelope)
    if found.payload_type != payload_type:
        raise SignatureError("payload_type", f"the payload is a `{found.payload_type[:80]}`, not a `{payload_type}`")
    payload = payload_of(found)
    signers = _signers(found, keys, pae(payload_type, payload))
    if len({keys[signer] for signer in signers}) < threshold:
        raise _too_few(found, signers, threshold)
    return Opened(payload, tuple(sorted(signers)))


def _signers(envelope: Envelope, keys: Mapping[str, bytes], message: bytes) -> list[str]:
    signers = []
    for signature in envelope.signatures:
        raw = _decoded(signature.sig, "a signature")
        if signature.keyid not in keys:
            continue
        if not key_forms.is_signed(keys[signature.keyid], raw, message):
            text = f"the signature of the key `{signature.keyid}` is not over what it is put to"
            raise SignatureError("signature_invalid", text, _AGAIN)
        signers.append(signature.keyid)
    return signers


def _too_few(envelope: Envelope, signers: Sequence[str], threshold: int) -> SignatureError:
    names = ", ".join(f"`{signature.keyid[:40]}`" for signature in envelope.signatures)
    if not signers:
        message = f"no trusted key signed it, only {names}"
        return SignatureError("signature_unknown_key", message, "refresh what this machine trusts")
    message = f"{len(signers)} trusted key{'s' if len(signers) > 1 else ''} signed it; {threshold} must"
    return SignatureError("signatures_missing", message, "ask for a package that passed the whole review")


def _write(payload: bytes, payload_type: str, by_key: Mapping[str, str], *, expected: int) -> bytes:
    if len(by_key) != expected:
        raise SignatureError("envelope_invalid", "one key would sign twice")
    signatures = [{"keyid": keyid, "sig": by_key[keyid]} for keyid in sorted(by_key)]
    data = canonical.dumps({"payload": _text(payload), "payloadType": payload_type, "signatures": signatures})
    read(data)
    return data


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _decoded(text: str, what: str) -> bytes:
    """The one spelling of these bytes: standard alphabet, padded, no bits that belong to no byte."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid(f"{what} is not base64") from None
    if _text(raw) != text:
        raise _invalid(f"{what} is not base64 in its one spelling")
    return raw


def _invalid(message: str) -> SignatureError:
    return SignatureError("envelope_invalid", f"it is no envelope: {message}", _AGAIN)
