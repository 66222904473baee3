"""What is sealed opens under its key, for what it was sealed for, and for nothing else."""

from __future__ import annotations

import base64

import pytest
from pytest_django.fixtures import Settings

from core import sealing

OLD, NEW = "old " * 12, "new " * 12
FOR = "alert_destination:dst_1"


@pytest.fixture(autouse=True)
def one_key(settings: Settings) -> None:
    settings.SEALING_KEYS = [OLD]


def test_it_opens_again_and_shows_nothing() -> None:
    sealed = sealing.seal(b"the bytes of a secret, 32 of them", context=FOR)
    assert sealing.unseal(sealed, context=FOR) == b"the bytes of a secret, 32 of them"
    assert b"secret" not in base64.urlsafe_b64decode(sealed.rpartition(".")[2])
    assert sealing.seal(b"the same", context=FOR) != sealing.seal(b"the same", context=FOR)
    assert len(sealing.seal(bytes(32), context=FOR)) == 90


def test_it_opens_for_nothing_else() -> None:
    with pytest.raises(sealing.Unreadable, match="not what was sealed"):
        sealing.unseal(sealing.seal(b"x", context=FOR), context="alert_destination:dst_2")


def test_no_byte_of_it_can_be_changed() -> None:
    sealed = sealing.seal(b"x" * 8, context=FOR)
    head, body = sealed[:-48], base64.urlsafe_b64decode(sealed[-48:])
    for place in range(len(body)):
        forged = bytearray(body)
        forged[place] ^= 1
        with pytest.raises(sealing.Unreadable):
            sealing.unseal(head + base64.urlsafe_b64encode(forged).decode(), context=FOR)


@pytest.mark.parametrize(
    "text", ["", "whsec_AAAA", "s1.", "s1.000000.AAAA", "s1.{name}.", "s1.{name}.A", "s1.{name}.é"]
)
def test_what_was_never_sealed_is_unreadable(text: str) -> None:
    name = sealing.seal(b"x", context=FOR).split(".")[1]
    with pytest.raises(sealing.Unreadable):
        sealing.unseal(text.replace("{name}", name), context=FOR)


def test_a_new_key_seals_and_the_old_one_still_opens_until_it_is_dropped(settings: Settings) -> None:
    before = sealing.seal(b"x", context=FOR)
    settings.SEALING_KEYS = [NEW, OLD]
    after = sealing.seal(b"x", context=FOR)
    assert (sealing.is_current(before), sealing.is_current(after)) == (False, True)
    assert sealing.unseal(before, context=FOR) == sealing.unseal(after, context=FOR) == b"x"
    settings.SEALING_KEYS = [NEW]
    with pytest.raises(sealing.Unreadable, match="KM_SEALING_KEY does not hold"):
        sealing.unseal(before, context=FOR)


def test_a_process_that_is_given_no_key_seals_nothing(settings: Settings) -> None:
    settings.SEALING_KEYS = []
    with pytest.raises(sealing.Unreadable, match="not given"):
        sealing.seal(b"x", context=FOR)
