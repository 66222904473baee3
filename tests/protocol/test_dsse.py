"""An envelope is what its signers signed, in one spelling, or it is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from km_protocol import canonical
from km_protocol.errors import SignatureError
from km_protocol.kmpkg import dsse, keys
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.signer._key import Key as OtherKey
from securesystemslib.signer._key import SSlibKey

from tests.protocol.signed_packages import ANN, BEN, ISSUER, STRANGER, Key

PAYLOAD = b'{"a":1}'
TRUSTED = {key.keyid: key.public for key in (ANN, BEN)}
SIGNED = dsse.sign(PAYLOAD, [ANN, BEN])


def changed(**changes: Any) -> bytes:
    return canonical.dumps(json.loads(SIGNED) | changes)


def refused(data: bytes, threshold: int = 2) -> str:
    with pytest.raises(SignatureError) as caught:
        dsse.verify(data, TRUSTED, threshold)
    return caught.value.code


def signatures(*keys: Key, over: bytes = PAYLOAD, kind: str = dsse.IN_TOTO) -> list[dict[str, str]]:
    message = dsse.pae(kind, over)
    return [{"keyid": key.keyid, "sig": base64.b64encode(key.sign(message)).decode()} for key in keys]


def test_the_encoding_is_the_specifications_own_example() -> None:
    """protocol.md of secure-systems-lab/dsse, "Test Vectors"."""
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_of_bytes_and_a_type_cannot_reach_into_the_payload() -> None:
    assert dsse.pae("ö", b"") == b"DSSEv1 2 \xc3\xb6 0 "
    assert dsse.pae("a 1", b"b") != dsse.pae("a", b"1 b")


def test_a_golden_envelope_stays_as_it_is() -> None:
    """Ed25519 is deterministic: a change of these bytes is a change of the format."""
    assert dsse.sign(b"{}", [ISSUER]).decode() == (
        '{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"4896f714d081bfcf","sig":'
        '"' + base64.b64encode(ISSUER.sign(b"DSSEv1 28 application/vnd.in-toto+json 2 {}")).decode() + '"}]}'
    )


def test_ed25519_is_that_of_rfc_8032() -> None:
    """Section 7.1, test 2."""
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert keys.is_signed(public, signature, b"\x72")
    assert not keys.is_signed(public, signature, b"\x73")
    assert keys.public_of(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")) == public


def test_a_signature_moved_by_the_groups_order_is_not_the_same_signature() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    good = ANN.sign(b"data")
    moved = good[:32] + (int.from_bytes(good[32:], "little") + order).to_bytes(32, "little")
    assert keys.is_signed(ANN.public, good, b"data")
    assert not keys.is_signed(ANN.public, moved, b"data")


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_or_signature_of_another_size_signs_nothing(size: int) -> None:
    assert not keys.is_signed(bytes(size), ANN.sign(b"data"), b"data")
    assert not keys.is_signed(ANN.public, bytes(size), b"data")


def test_two_of_two_reviewers_are_enough() -> None:
    assert dsse.verify(SIGNED, TRUSTED, 2) == PAYLOAD
    assert dsse.opened(SIGNED, TRUSTED, 2).signers == tuple(sorted((ANN.keyid, BEN.keyid)))


def test_signatures_made_apart_are_put_together() -> None:
    apart = [dsse.sign(PAYLOAD, [BEN]), dsse.sign(PAYLOAD, [ANN])]
    assert dsse.merge(apart) == SIGNED


def test_only_signatures_of_one_payload_are_put_together_and_each_key_once() -> None:
    for apart in ([dsse.sign(b"{}", [BEN]), dsse.sign(PAYLOAD, [ANN])], [dsse.sign(PAYLOAD, [ANN]), SIGNED]):
        with pytest.raises(SignatureError):
            dsse.merge(apart)
    with pytest.raises(SignatureError):
        dsse.sign(PAYLOAD, [ANN, ANN])


def test_another_reader_of_envelopes_agrees() -> None:
    public = {key.keyid: Ed25519PublicKey.from_public_bytes(key.public) for key in (ANN, BEN)}
    others: list[OtherKey] = [SSlibKey.from_crypto(key, keyid=keyid) for keyid, key in public.items()]
    accepted = OtherEnvelope.from_dict(json.loads(SIGNED)).verify(others, 2)
    assert set(accepted) == set(public)


def test_one_of_two_reviewers_is_missing() -> None:
    assert refused(dsse.sign(PAYLOAD, [ANN])) == "signatures_missing"
    assert refused(dsse.sign(PAYLOAD, [ANN, STRANGER])) == "signatures_missing"


def test_one_reviewer_signs_twice() -> None:
    assert refused(changed(signatures=signatures(ANN, ANN))) == "envelope_invalid"


def test_one_reviewer_has_two_ids() -> None:
    twice = [*signatures(ANN), {**signatures(ANN)[0], "keyid": "other"}]
    with pytest.raises(SignatureError) as caught:
        dsse.verify(changed(signatures=twice), {ANN.keyid: ANN.public, "other": ANN.public}, 2)
    assert caught.value.code == "signatures_missing"


def test_nobody_known_signed() -> None:
    assert refused(dsse.sign(PAYLOAD, [STRANGER]), threshold=1) == "signature_unknown_key"


def test_a_stranger_claims_a_reviewers_id() -> None:
    claimed = [{**signatures(STRANGER)[0], "keyid": ANN.keyid}]
    assert refused(changed(signatures=claimed), threshold=1) == "signature_invalid"


def test_one_wrong_signature_spoils_enough_right_ones() -> None:
    assert refused(changed(signatures=signatures(ANN) + signatures(BEN, over=b"{}")), threshold=1) == (
        "signature_invalid"
    )


def test_signatures_over_another_payload() -> None:
    assert refused(changed(signatures=signatures(ANN, BEN, over=b'{"a":2}'))) == "signature_invalid"
    assert refused(changed(payload=base64.b64encode(b'{"a":2}').decode())) == "signature_invalid"


def test_another_type_of_payload() -> None:
    other = "application/vnd.other+json"
    assert refused(changed(payloadType=other, signatures=signatures(ANN, BEN, kind=other))) == "payload_type"
    assert refused(changed(signatures=signatures(ANN, BEN, kind=other))) == "signature_invalid"


def test_no_threshold_lets_anything_pass() -> None:
    with pytest.raises(ValueError, match="let anything pass"):
        dsse.verify(SIGNED, TRUSTED, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1},
        {"payload": None},
        {"payloadType": 1},
        {"signatures": []},
        {"signatures": {}},
        {"signatures": [{**signatures(ANN)[0], "extra": ""}]},
        {"signatures": [{"sig": signatures(ANN)[0]["sig"]}]},
        {"payload": "eyJhIjoxfQ"},  # not padded
        {"payload": "eyJhIjoxfR=="},  # bits that belong to no byte
        {"payload": "eyJh\nIjoxfQ=="},
        {"payload": "_-__"},
        {"payload": "ö"},
        {"signatures": [{"keyid": ANN.keyid, "sig": "!"}]},
        {"signatures": [{"keyid": STRANGER.keyid, "sig": "!"}, *signatures(ANN)]},
        {"signatures": signatures(*(Key(str(number)) for number in range(dsse.MAX_SIGNATURES + 1)))},
        {"payload": base64.b64encode(bytes(dsse.MAX_PAYLOAD_BYTES + 1)).decode()},
    ],
    ids=lambda changes: ascii(changes)[:40],
)
def test_an_envelope_of_another_form(changes: dict[str, Any]) -> None:
    assert refused(changed(**changes), threshold=1) == "envelope_invalid"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        SIGNED[:-1],
        SIGNED + b"\n",
        json.dumps(json.loads(SIGNED)).encode(),
        SIGNED[:-1] + b',"payload":"e30="}',
        b'{"payload":"e30=",' + SIGNED[1:],
        b" " * (dsse.MAX_ENVELOPE_BYTES + 1),
    ],
    ids=lambda data: ascii(data[:30]),
)
def test_bytes_that_are_no_envelope(data: bytes) -> None:
    assert refused(data) == "envelope_invalid"


def test_no_byte_of_an_envelope_can_be_changed() -> None:
    for at in range(len(SIGNED)):
        for bit in (1, 0x20, 0x80):
            flipped = bytearray(SIGNED)
            flipped[at] ^= bit
            with pytest.raises(SignatureError):
                dsse.verify(bytes(flipped), TRUSTED, 2)


@given(st.binary(max_size=200))
def test_any_payload_comes_back(payload: bytes) -> None:
    assert dsse.verify(dsse.sign(payload, [ANN]), TRUSTED, 1) == payload
