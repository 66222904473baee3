"""The customer's slot in a program: 4,096 bytes that differ from customer to customer, and nothing else does.

    \\0KM-CUSTOMER-SLOT-1\\0{"build_id":"bld_…","build_key":"…","customer_id":"cus_…","issuer":"3f9a…"}..........

The slot begins with its marker, which occurs once in the whole file; then comes canonical JSON, then dots to the end.
As it was compiled, and reviewed, there are dots only: that is the blank slot. The marker stays when a slot is blanked,
so the blanked digest fixes the place of the slot as well as every byte outside it.
A Python plugin has the same JSON in `overlay/customer.json` instead.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec

from km_protocol import canonical
from km_protocol.errors import CanonicalError, SlotError
from km_protocol.kmpkg import keys

SIZE: Final = 4096
MARKER = b"\0KM-CUSTOMER-SLOT-1\0"
FILL = b"."
BLANK = MARKER + FILL * (SIZE - len(MARKER))
ROOM = SIZE - len(MARKER)
_BUILD_AGAIN = "fetch or build the package again"

_Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
_Key = Annotated[str, msgspec.Meta(pattern=keys.TEXT_PATTERN)]
_KeyId = Annotated[str, msgspec.Meta(pattern=keys.ID_PATTERN)]


class CustomerData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose build this is, and how it proves that: `build_key` is the seed of this build's own Ed25519 key, base64url.

    The server knows the public half, which the package's statement names, and can revoke it. `issuer` is the id of the
    key that signs the package.
    """

    customer_id: _Id
    build_id: _Id
    issuer: _KeyId
    build_key: _Key

    def __repr__(self) -> str:
        """Without the private key: this is printed where something fails."""
        return f"CustomerData({self.customer_id}, {self.build_id})"

    def public_key(self) -> str:
        """The public half of the build's key, base64url."""
        return keys.to_text(keys.public_of(keys.from_text(self.build_key)))

    def encode(self) -> bytes:
        return canonical.dumps(msgspec.to_builtins(self))


def decode(data: bytes) -> CustomerData:
    """What `CustomerData.encode` wrote. Raises `SlotError`."""
    try:
        found = msgspec.convert(canonical.loads(data, limit=ROOM), CustomerData, strict=True)
        keys.from_text(found.build_key)
    except (CanonicalError, msgspec.ValidationError, ValueError) as error:
        raise SlotError(f"the customer's data is not of its form: {error}", _BUILD_AGAIN) from None
    return found


def find(program: bytes) -> int:
    """Where the slot begins. Raises `SlotError` unless there is exactly one, whole."""
    at = program.find(MARKER)
    if at < 0:
        raise SlotError("the program has no customer slot", "build it with the kilometers SDK, which brings one")
    if program.find(MARKER, at + 1) >= 0:
        raise SlotError("the program has more than one customer slot", _BUILD_AGAIN)
    if at + SIZE > len(program):
        raise SlotError("the program ends within its customer slot", _BUILD_AGAIN)
    return at


def is_blank(program: bytes) -> bool:
    """Whether the slot is as it was compiled. Raises `SlotError` when there is none."""
    at = find(program)
    return program[at : at + SIZE] == BLANK


def fill(program: bytes, customer: CustomerData) -> bytes:
    """The program for that customer; every byte outside the slot stays. Raises `SlotError` unless the slot is blank."""
    at = find(program)
    check_blank(program, at)
    around = memoryview(program)
    return b"".join((around[:at], filled(customer), around[at + SIZE :]))


def check_blank(program: bytes, at: int) -> None:
    """Raises `SlotError` when the slot that begins `at` is somebody's."""
    if program[at : at + SIZE] != BLANK:
        raise SlotError("the program's customer slot is filled already", "start from the payload that was reviewed")


def filled(customer: CustomerData) -> bytes:
    """What stands in a slot that is that customer's."""
    data = customer.encode()
    return MARKER + data + FILL * (ROOM - len(data))


def read(program: bytes, at: int | None = None) -> CustomerData:
    """Whose program this is. Raises `SlotError` for a blank or damaged slot. `at`: where `find` found it, if it did."""
    at = find(program) if at is None else at
    body = program[at + len(MARKER) : at + SIZE].rstrip(FILL)
    if not body:
        raise SlotError("the program's customer slot is blank", _BUILD_AGAIN)
    return decode(body)


def blanked_digest(program: bytes, at: int | None = None) -> str:
    """The SHA-256, in hexadecimal digits, of the program as it was before its slot was filled. `at` as of `read`."""
    at = find(program) if at is None else at
    digest = hashlib.sha256(memoryview(program)[:at])
    digest.update(BLANK)
    digest.update(memoryview(program)[at + SIZE :])
    return digest.hexdigest()
