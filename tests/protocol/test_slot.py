"""A customer's slot is found once or not at all, and filling it changes nothing else."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_protocol.errors import SlotError
from km_protocol.kmpkg import keys, slot
from km_protocol.kmpkg.slot import CustomerData

from tests.protocol.signed_packages import BUILD, BUILD_KEY, CUSTOMER, ISSUER, PROGRAM

DATA = CustomerData(CUSTOMER, BUILD, ISSUER.keyid, keys.to_text(BUILD_KEY.seed))
AT = PROGRAM.index(slot.MARKER)
code = st.binary(max_size=50).filter(lambda data: b"KM-CUSTOMER" not in data)


def filled_with(body: bytes) -> bytes:
    return slot.MARKER + body.ljust(slot.ROOM, slot.FILL)


@given(code, code)
def test_filling_changes_the_slot_and_nothing_else(before: bytes, after: bytes) -> None:
    program = before + slot.BLANK + after
    filled = slot.fill(program, DATA)
    assert slot.find(filled) == len(before)
    assert (filled[: len(before)], filled[len(before) + slot.SIZE :]) == (before, after)
    assert len(filled) == len(program)
    assert slot.read(filled) == DATA


def test_every_customers_program_has_the_reviewed_digest() -> None:
    reviewed = hashlib.sha256(PROGRAM).hexdigest()
    other = msgspec.structs.replace(DATA, customer_id="cus_other")
    assert slot.blanked_digest(PROGRAM) == reviewed
    assert slot.blanked_digest(slot.fill(PROGRAM, DATA)) == slot.blanked_digest(slot.fill(PROGRAM, other)) == reviewed


@pytest.mark.parametrize("at", [0, AT - 1, AT + slot.SIZE, len(PROGRAM) - 1])
def test_code_changed_outside_the_slot_has_another_digest(at: int) -> None:
    changed = bytearray(slot.fill(PROGRAM, DATA))
    changed[at] ^= 1
    assert slot.blanked_digest(bytes(changed)) != slot.blanked_digest(PROGRAM)


def test_a_slot_moved_by_one_byte_has_another_digest() -> None:
    moved = PROGRAM[: AT - 1] + slot.BLANK + PROGRAM[AT - 1 : AT] + PROGRAM[AT + slot.SIZE :]
    assert slot.find(moved) == AT - 1
    assert slot.blanked_digest(moved) != slot.blanked_digest(PROGRAM)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (b"", "no customer slot"),
        (PROGRAM.replace(slot.MARKER, bytes(len(slot.MARKER))), "no customer slot"),
        (PROGRAM + slot.BLANK, "more than one"),
        (PROGRAM + slot.MARKER, "more than one"),
        (slot.MARKER[:-1] + PROGRAM + slot.MARKER[1:] + slot.MARKER, "more than one"),
        (slot.BLANK[:-1], "ends within"),
    ],
)
def test_none_or_two_slots_are_refused_by_everything_that_needs_one(program: bytes, why: str) -> None:
    for use in (slot.find, slot.is_blank, slot.blanked_digest, slot.read):
        with pytest.raises(SlotError, match=why):
            use(program)
    with pytest.raises(SlotError, match=why):
        slot.fill(program, DATA)


def test_a_slot_is_filled_once() -> None:
    filled = slot.fill(PROGRAM, DATA)
    assert slot.is_blank(PROGRAM)
    assert not slot.is_blank(filled)
    with pytest.raises(SlotError, match="filled already"):
        slot.fill(filled, DATA)


def test_a_blank_slot_is_nobodys() -> None:
    with pytest.raises(SlotError, match="blank"):
        slot.read(PROGRAM)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        DATA.encode()[:-1],
        DATA.encode() + b" ",
        DATA.encode() + b"\0",
        DATA.encode() + b"." + DATA.encode(),
        DATA.encode()[:-1] + b',"more":1}',
        DATA.encode().replace(b'"build_id"', b'"build_id" '),
        DATA.encode().replace(CUSTOMER.encode(), b"cus_\\u0041"),
        DATA.encode().replace(CUSTOMER.encode(), b"cus_../.."),
        DATA.encode().replace(DATA.build_key.encode(), DATA.build_key[:-1].encode()),
        DATA.encode().replace(DATA.build_key.encode(), b"A" * 42 + b"B"),
    ],
    ids=lambda body: ascii(body[-30:]),
)
def test_a_slot_holds_customers_data_in_one_form(body: bytes) -> None:
    with pytest.raises(SlotError):
        slot.read(filled_with(body))


def test_what_fails_shows_no_private_key() -> None:
    secret = DATA.build_key
    assert secret not in repr(DATA)
    assert secret not in str(DATA)
    with pytest.raises(SlotError) as caught:
        slot.decode(DATA.encode().replace(secret.encode(), secret[:-1].encode() + b"-"))
    assert secret[:40] not in str(caught.value)


def test_the_public_half_is_the_build_keys() -> None:
    assert DATA.public_key() == keys.to_text(BUILD_KEY.public)
