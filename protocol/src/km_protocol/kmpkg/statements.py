"""What is signed about a package: in-toto Statements v1, each about the payload's digest.

    {"_type":"https://in-toto.io/Statement/v1","predicate":{…},"predicateType":"https://kilometers.ai/review/v1",
     "subject":[{"digest":{"sha256":"9f86…"},"name":"payload"}]}

    write(digest, ReviewStatement(…))          the bytes to sign: canonical JSON
    read(payload, ReviewStatement)             Stated(payload_digest="9f86…", predicate=ReviewStatement(…))

The reader takes canonical JSON only, no field it does not know, and no statement of another kind: a review cannot pass
for a package's own statement. The provenance is in its own module.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec

from km_protocol import canonical
from km_protocol.errors import CanonicalError, StatementError
from km_protocol.kmpkg import keys, names, versions
from km_protocol.kmpkg.dsse import MAX_PAYLOAD_BYTES
from km_protocol.kmpkg.manifest import Permissions

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
SUBJECT = "payload"
PLATFORMS = ("linux-amd64", "linux-arm64", "any")

Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Moment = Annotated[str, msgspec.Meta(pattern=r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]
Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=rf"\A{names.PATTERN}\Z", max_length=names.MAX_LENGTH)]
Number = Annotated[str, msgspec.Meta(min_length=1, max_length=versions.MAX_LENGTH)]
PublicKey = Annotated[str, msgspec.Meta(pattern=keys.TEXT_PATTERN)]
Platform = Literal["linux-amd64", "linux-arm64", "any"]


class Predicate(Protocol):
    TYPE: ClassVar[str]


P = TypeVar("P", bound=Predicate)


class SlotPlace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the customer's slot is. `path` is within `payload/`; `blanked_sha256` is the program's, slot blank."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    offset: Annotated[int, msgspec.Meta(ge=0)]
    size: Literal[4096]
    blanked_sha256: Sha256


class PackageStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the issuer says of one customer's build. `build_key`: the public half of this build's own key, base64url."""

    TYPE: ClassVar[str] = "https://kilometers.ai/package/v1"

    name: Name
    version: Number
    platform: Platform
    manifest_sha256: Sha256
    overlay_digest: Sha256
    customer_id: Id
    build_id: Id
    build_key: PublicKey
    built_at: Moment
    expires_at: Moment
    slot: SlotPlace | None


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The permissions that passed review."""

    network: bool
    filesystem: bool
    system: bool
    api_key: bool

    @classmethod
    def of(cls, permissions: Permissions) -> Allowed:
        return cls(permissions.network, permissions.filesystem, permissions.system, permissions.api_key)


class ReviewStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the reviewers say of a payload, each with a signature of their own. `source_sha256`: what they read.

    The manifest is not part of the payload, and says which file is started and with which settings.
    """

    TYPE: ClassVar[str] = "https://kilometers.ai/review/v1"

    name: Name
    version: Number
    permissions: Allowed
    manifest_sha256: Sha256
    source_sha256: Sha256
    reviewed_at: Moment
    decisions: tuple[Literal["security"], Literal["code"]] = ("security", "code")


class Stated(msgspec.Struct, Generic[P], frozen=True):
    """A statement's two halves: what it is about, and what it says of that."""

    payload_digest: str
    predicate: P


class _Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sha256: Sha256


class _Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Literal["payload"]
    digest: _Digest


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"predicate_type": "predicateType"}):
    kind: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: Annotated[list[_Subject], msgspec.Meta(min_length=1, max_length=1)]
    predicate_type: str
    predicate: dict[str, Any]


def write(payload_digest: str, predicate: Predicate) -> bytes:
    """The bytes to sign. Raises `StatementError` when `read` would not take them."""
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": SUBJECT, "digest": {"sha256": payload_digest}}],
        "predicateType": predicate.TYPE,
        "predicate": msgspec.to_builtins(predicate),
    }
    data = canonical.dumps(statement)
    read(data, type(predicate))
    return data


def read(payload: bytes, kind: type[P]) -> Stated[P]:
    """Raises `StatementError`, naming the field."""
    try:
        statement = msgspec.convert(canonical.loads(payload, limit=MAX_PAYLOAD_BYTES), _Statement, strict=True)
        if statement.predicate_type != kind.TYPE:
            raise StatementError(f"it is a statement of the kind `{statement.predicate_type[:80]}`, not `{kind.TYPE}`")
        predicate = msgspec.convert(statement.predicate, kind, strict=True)
    except (CanonicalError, msgspec.ValidationError) as error:
        raise StatementError(f"it is no statement of the kind `{kind.TYPE}`: {error}") from None
    return Stated(statement.subject[0].digest.sha256, predicate)


def moment(at: datetime) -> str:
    """`2026-11-22T20:03:35Z`: whole seconds of UTC, rounded down."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def when(text: str) -> datetime:
    """What `moment` wrote. Raises `StatementError` for a day that does not exist."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise StatementError(f"`{text}` is no moment in time") from None
