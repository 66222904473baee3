"""A trust file says whom to trust completely and without doubt, or it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from km_protocol.errors import TrustError
from km_protocol.kmpkg import keys, trust
from km_protocol.kmpkg.trust import TrustPolicy

from tests.protocol.signed_packages import ANN, BEN, ISSUER, POLICY, STRANGER

FILE: dict[str, Any] = json.loads(trust.write(POLICY))


def refused(data: bytes) -> str:
    with pytest.raises(TrustError) as caught:
        trust.read(data)
    return str(caught.value)


def test_a_policy_is_read_as_it_was_written() -> None:
    policy = TrustPolicy(POLICY.issuers, POLICY.reviewers, 1, None, frozenset({"a" * 64, "b" * 64}))
    assert trust.read(trust.write(policy)) == policy
    assert trust.write(trust.read(trust.write(policy))) == trust.write(policy)


def test_a_person_may_write_it_with_spaces_and_leave_out_what_has_a_default() -> None:
    short = {key: FILE[key] for key in ("format", "issuers", "reviewers")}
    policy = trust.read(json.dumps(short, indent=4).encode())
    assert (policy.review_threshold, policy.customer_id, policy.blocked) == (2, None, frozenset())


@pytest.mark.parametrize(
    "change",
    [
        {"format": "km-trust-2"},
        {"more": 1},
        {"issuers": {}, "reviewers": []},
        {"issuers": {ISSUER.keyid: keys.to_text(STRANGER.public)}},
        {"issuers": {ISSUER.keyid: "A"}},
        {"issuers": {"issuer": keys.to_text(ISSUER.public)}},
        {"review_threshold": 0},
        {"review_threshold": "2"},
        {"customer_id": "cus ../"},
        {"blocked": ["A" * 64]},
        {"blocked": ["a" * 63]},
        {"issuers": {ANN.keyid: keys.to_text(ANN.public)}},
    ],
    ids=lambda change: ascii(change)[:50],
)
def test_a_file_that_says_what_cannot_be(change: dict[str, Any]) -> None:
    refused(json.dumps(FILE | change).encode())


def test_a_key_written_twice_is_refused_and_so_is_what_is_no_json() -> None:
    assert "twice" in refused(json.dumps(FILE).encode()[:-1] + b',"blocked":[]}')
    refused(b"{")
    refused(b"")


@pytest.mark.parametrize("text", ["", "A" * 39, "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "+", "A" * 42 + "ö"])
def test_a_key_is_32_bytes_in_their_one_spelling(text: str) -> None:
    with pytest.raises(ValueError, match="a key"):
        keys.from_text(text)
    assert keys.from_text(keys.to_text(ANN.public)) == ANN.public


def test_an_issuer_may_not_review() -> None:
    with pytest.raises(TrustError, match="one theft would forge both"):
        TrustPolicy({ANN.keyid: ANN.public}, {ANN.keyid: ANN.public, BEN.keyid: BEN.public})


def test_a_policy_does_not_change_after_it_was_made() -> None:
    held = dict(POLICY.issuers)
    policy = TrustPolicy(held, POLICY.reviewers)
    held.clear()
    assert policy.issuers == POLICY.issuers
    with pytest.raises(TypeError):
        policy.issuers["x"] = b""  # type: ignore[index]
