"""Keys for tokens take over from one another without a verification ever failing."""

from __future__ import annotations

from datetime import datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.db import IntegrityError, transaction
from django.test import override_settings

from customers import signing_keys
from customers.errors import RotationPending, SigningKeyUnreadable
from customers.models import AuditEntry, SigningKey
from customers.signing_keys import ANNOUNCE_FOR, JWKS_MAX_AGE, KEYRING_MAX_AGE
from customers.states import KeyState

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def published(at: datetime) -> set[str]:
    return {key["kid"] for key in signing_keys.key_set(at=at)["keys"]}


def test_the_first_key_is_made_when_needed_and_signs_at_once(moment: datetime) -> None:
    assert SigningKey.objects.count() == 0
    signer = signing_keys.signer(at=moment)
    assert published(moment) == {signer.kid}
    assert signing_keys.verifier(signer.kid, at=moment) is not None
    assert signing_keys.signer(at=moment).kid == signer.kid


def test_a_new_key_is_published_for_longer_than_anyone_caches_before_it_signs(moment: datetime) -> None:
    old = signing_keys.signer(at=moment).kid
    new = signing_keys.rotate(at=moment).kid
    assert ANNOUNCE_FOR > JWKS_MAX_AGE + KEYRING_MAX_AGE
    assert published(moment) == {old, new}
    assert signing_keys.signer(at=moment + ANNOUNCE_FOR - SECOND).kid == old
    assert signing_keys.signer(at=moment + ANNOUNCE_FOR + KEYRING_MAX_AGE).kid == new


def test_the_old_key_verifies_until_its_longest_signature_has_ended(moment: datetime) -> None:
    old = signing_keys.signer(at=moment).kid
    signing_keys.rotate(at=moment)
    retired = moment + ANNOUNCE_FOR
    assert signing_keys.signer(at=retired).kid != old
    last = retired + signing_keys.longest_signature()
    assert signing_keys.verifier(old, at=last - SECOND) is not None
    assert old in published(last - SECOND)
    assert signing_keys.verifier(old, at=last + KEYRING_MAX_AGE) is None
    assert old not in published(last)


def test_a_lease_in_its_offline_grace_is_the_longest_signature(moment: datetime) -> None:
    assert signing_keys.longest_signature() > timedelta(days=7)
    with override_settings(TOKEN_SECONDS=30 * 24 * 3600):
        assert signing_keys.longest_signature() > timedelta(days=30)


def test_a_retired_keys_private_half_is_wiped(moment: datetime) -> None:
    old = signing_keys.signer(at=moment).kid
    signing_keys.rotate(at=moment)
    signing_keys.signer(at=moment + ANNOUNCE_FOR)
    assert SigningKey.objects.get(kid=old).private_pem == ""
    assert SigningKey.objects.get(kid=old).state == "retired"


def test_a_second_rotation_waits_for_the_first(moment: datetime) -> None:
    pending = signing_keys.rotate(at=moment)
    with pytest.raises(RotationPending, match=pending.kid):
        signing_keys.rotate(at=moment + SECOND)
    signing_keys.rotate(at=moment + ANNOUNCE_FOR)
    assert SigningKey.objects.filter(state="announced").count() == 1


def test_a_leaked_key_is_dropped_with_every_other_at_once(moment: datetime) -> None:
    leaked = signing_keys.signer(at=moment).kid
    announced = signing_keys.rotate(at=moment).kid
    new = signing_keys.replace_compromised(at=moment, actor="user:ops")
    signing_keys.forget()
    assert published(moment) == {new.kid}
    assert signing_keys.signer(at=moment).kid == new.kid
    for kid in (leaked, announced):
        assert signing_keys.verifier(kid, at=moment) is None
        assert SigningKey.objects.get(kid=kid).private_pem == ""


def test_the_private_half_is_encrypted_at_rest(moment: datetime) -> None:
    signing_keys.signer(at=moment)
    pem = SigningKey.objects.get().private_pem
    assert pem.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    with pytest.raises((TypeError, ValueError)):
        load_pem_private_key(pem.encode(), None)


def test_under_another_passphrase_the_error_says_what_to_do(moment: datetime) -> None:
    signing_keys.signer(at=moment)
    signing_keys.forget()
    wrong = override_settings(SIGNING_KEY_PASSPHRASE=b"not the passphrase it was encrypted under")
    with wrong, pytest.raises(SigningKeyUnreadable) as refused:
        signing_keys.signer(at=moment)
    assert "--compromised" in refused.value.hint
    assert refused.value.status == 503


def test_the_key_set_holds_public_halves_only_and_pins_the_algorithm(moment: datetime) -> None:
    signing_keys.rotate(at=moment)
    for key in signing_keys.key_set(at=moment)["keys"]:
        assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
        assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
        assert jwt.PyJWK(key).algorithm_name == "EdDSA"


def test_every_step_of_a_keys_life_is_on_record(moment: datetime) -> None:
    signing_keys.signer(at=moment)
    new = signing_keys.rotate(at=moment, actor="user:ops")
    signing_keys.signer(at=moment + ANNOUNCE_FOR)
    steps = AuditEntry.objects.filter(subject=f"signing_key:{new.kid}").order_by("id")
    assert [entry.action for entry in steps] == ["signing_key.announced", "signing_key.active"]
    assert steps[0].actor == "user:ops"


def test_another_process_that_was_first_with_the_first_key_is_followed(moment: datetime) -> None:
    other = signing_keys._create(KeyState.ACTIVE, at=moment, activates_at=moment, actor="system")
    assert signing_keys._ensure_first(moment) == other
    assert SigningKey.objects.count() == 1


def test_two_keys_cannot_be_active_at_once(moment: datetime) -> None:
    signing_keys.signer(at=moment)
    with pytest.raises(IntegrityError), transaction.atomic():
        signing_keys._create(KeyState.ACTIVE, at=moment, activates_at=moment, actor="system")
    assert SigningKey.objects.filter(state="active").count() == 1


def test_a_clock_set_back_reads_the_rows_again(moment: datetime) -> None:
    signing_keys.signer(at=moment)
    SigningKey.objects.all().delete()
    assert signing_keys.signer(at=moment - timedelta(days=1)).kid == SigningKey.objects.get().kid
