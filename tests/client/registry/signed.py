"""A registry's metadata as tests need it: real keys, real signatures, every file of it to be replaced or signed anew.

registry = SignedRegistry()
registry.offer("cus_a", made)          a package for that customer, reviewed
registry.publish()                     `files` then holds everything by the path it is served under
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from km_protocol.kmpkg import keys, package
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from tests.protocol.signed_packages import ANN, BEN, ISSUER, Key, Maker

SCOPE = "x-km-scope"
BITS = 2
COMPACT = JSONSerializer(compact=True)
ROOTS = ("catalog", "director")
_NO_PERMISSIONS = {"network": False, "filesystem": False, "system": False, "api_key": False}


def signer(key: Key) -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(key.seed))


def after(**delta: float) -> datetime:
    return (datetime.now(UTC) + timedelta(**delta)).replace(microsecond=0)


class Versioned(Maker):
    """A package of another version than the usual one, built an hour ago and good for a month."""

    number = "1.2.0"

    @property
    def version(self) -> str:
        return self.number

    @classmethod
    def of(cls, number: str, name: str = "checked", **said: Any) -> Versioned:
        times = {"built_at": _moment(-1), "expires_at": _moment(24 * 30)}
        statement = {"version": number, **times, **said.pop("statement", {})}
        review = {"version": number, "permissions": _NO_PERMISSIONS, **said.pop("review", {})}
        made = cls(name=name, statement=statement, review=review, **said)
        made.number = number
        manifest = Maker(name=name, runtime=made.runtime).manifest.replace(b'"1.2.0"', f'"{number}"'.encode())
        made.__dict__["manifest"] = manifest.replace(b'"network": true', b'"network": false')
        return made


def _moment(hours: float) -> str:
    return f"{after(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


class SignedRegistry:
    """`files` by path below `/api/tuf/`; `state` counts each repository's versions."""

    def __init__(self) -> None:
        new = CryptoSigner.generate_ed25519
        self.root_keys = [new() for _ in range(3)]
        self.role_keys: dict[str, dict[str, CryptoSigner]] = {
            name: {role: new() for role in ("targets", "snapshot", "timestamp")} for name in ROOTS
        }
        self.security = new()
        self.reviewers: list[Signer] = [signer(ANN), signer(BEN)]
        self.issuers = [ISSUER]
        self.files: dict[str, bytes] = {}
        self.versions: dict[str, int] = {}
        self.offered: dict[str, dict[str, TargetFile]] = {}
        self.reviewed: dict[str, TargetFile] = {}
        self.private: dict[str, tuple[dict[str, TargetFile], list[Any]]] = {}
        self.blocked: list[dict[str, Any]] = []
        self.root_version = 0
        self.publish_roots()

    def publish_roots(self, *, signed_by: Iterable[Signer] = ()) -> None:
        """The next version of both roots, signed by two of the keys it names and by `signed_by`."""
        self.root_version += 1
        for name in ROOTS:
            root = Root(self.root_version, expires=after(days=365), unrecognized_fields={SCOPE: name})
            for key in self.root_keys:
                root.add_key(key.public_key, "root")
            root.roles["root"].threshold = 2
            for role, key in self.role_keys[name].items():
                root.add_key(key.public_key, role)
            place = "director" if name == "director" else name
            self.files[f"{place}/{self.root_version}.root.json"] = self.sign(root, *self.root_keys[:2], *signed_by)

    def offer(self, customer: str, made: Maker, *, version: str = "1.2.0", reviewed: bool = True) -> str:
        """List the package for `customer`; its path among the director's targets."""
        data = made.package()
        platform = "linux-amd64" if made.is_go else "any"
        return self.offer_bytes(customer, made, data, version=version, platform=platform, reviewed=reviewed)

    def offer_bytes(
        self, customer: str, made: Maker, data: bytes, *, version: str, platform: str = "any", reviewed: bool = True
    ) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        directory = f"{made.name}/{version}/{platform}"
        name = package.file_name(made.name, sha256)
        path = f"{directory}/{name}"
        custom = {"payload_digest": made.payload_digest}
        self.offered.setdefault(customer, {})[path] = _target(path, data, custom)
        self.files[f"director/{customer}/targets/{directory}/{sha256}.{name}"] = data
        if reviewed:
            self.review(directory, made.payload_digest)
        return path

    def review(self, path: str, payload_digest: str) -> None:
        """Have the reviewers vouch for a version's payload."""
        fields = {"custom": {"payload_digest": payload_digest, "permissions": ["network"]}}
        self.reviewed[path] = TargetFile(0, {"sha256": payload_digest}, path, fields)

    def publish(self, *customers: str) -> None:
        """The catalog, and the directors of these customers (of all that have one)."""
        self.publish_catalog()
        for customer in customers or self.offered:
            self.publish_director(customer)

    def publish_catalog(self) -> None:
        version = self._next("catalog")
        blocklist = msgspec.json.encode({"version": version, "blocked": self.blocked})
        digest = hashlib.sha256(blocklist).hexdigest()
        self.files[f"catalog/targets/{digest}.blocklist.json"] = blocklist
        bins = SuccinctRoles([key.public_key.keyid for key in self.reviewers], 2, BITS, "release")
        roles = {
            "targets": self.sign(self.catalog_targets(version), self.role_keys["catalog"]["targets"]),
            "security": self.sign(
                self.targets(
                    "catalog", version, {"blocklist.json": _target("blocklist.json", blocklist)}, expires=after(days=1)
                ),
                self.security,
            ),
            "release": self.sign(self.release(version, bins), *self.reviewers),
        }
        for role in bins.get_roles():
            listed = {path: one for path, one in self.reviewed.items() if bins.get_role_for_target(path) == role}
            roles[role] = self.sign(self.targets("catalog", version, listed), *self.reviewers)
        self.publish_files("catalog", "catalog", version, roles)

    def catalog_targets(self, version: int) -> Targets:
        held = {key.public_key.keyid: key.public_key for key in (self.security, *self.reviewers)}
        ids = [key.public_key.keyid for key in self.reviewers]
        delegations = Delegations(
            held,
            {
                "security": DelegatedRole("security", [self.security.public_key.keyid], 1, True, ["blocklist.json"]),
                "release": DelegatedRole("release", ids, 2, True, ["*/*/*"]),
            },
        )
        found = self.targets("catalog", version, {}, delegations=delegations)
        found.unrecognized_fields["x-km-issuers"] = {key.keyid: keys.to_text(key.public) for key in self.issuers}
        return found

    def release(self, version: int, bins: SuccinctRoles) -> Targets:
        held = {key.public_key.keyid: key.public_key for key in self.reviewers}
        return self.targets("catalog", version, {}, delegations=Delegations(held, None, bins))

    def publish_director(self, customer: str, *, scope: str = "", expires: datetime | None = None) -> None:
        version = self._next(customer)
        own, holders = self.private.get(customer, ({}, []))
        delegations = self._private_delegations(holders) if holders else None
        offered = self.offered.get(customer, {})
        listed = self.targets(scope or customer, version, offered, delegations=delegations, expires=after(days=30))
        roles = {"targets": self.sign(listed, self.role_keys["director"]["targets"])}
        if holders:
            roles["release"] = self.sign(self.targets(customer, version, own), *holders[:2])
        self.publish_files(f"director/{customer}", "director", version, roles, scope=scope or customer, expires=expires)

    def _private_delegations(self, holders: list[Any]) -> Delegations:
        held = {key.public_key.keyid: key.public_key for key in holders}
        return Delegations(held, {"release": DelegatedRole("release", list(held), 2, True, ["*/*/*"])})

    def publish_files(
        self,
        place: str,
        kind: str,
        version: int,
        roles: dict[str, bytes],
        *,
        scope: str = "catalog",
        expires: datetime | None = None,
    ) -> None:
        """What the snapshot lists, the snapshot, the timestamp."""
        for role, data in roles.items():
            self.files[f"{place}/{version}.{role}.json"] = data
        meta = {f"{role}.json": _described(version, data) for role, data in roles.items()}
        fields: dict[str, Any] = {SCOPE: scope}
        snapshot = Snapshot(version, expires=after(days=7), meta=meta, unrecognized_fields=fields)
        data = self.sign(snapshot, self.role_keys[kind]["snapshot"])
        self.files[f"{place}/{version}.snapshot.json"] = data
        self.stamp(place, kind, version, _described(version, data), scope=scope, expires=expires)

    def stamp(
        self, place: str, kind: str, version: int, current: MetaFile, *, scope: str, expires: datetime | None = None
    ) -> None:
        fields: dict[str, Any] = {SCOPE: scope}
        stamp = Timestamp(
            version, expires=expires or after(days=1), snapshot_meta=current, unrecognized_fields=dict(fields)
        )
        self.files[f"{place}/timestamp.json"] = self.sign(stamp, self.role_keys[kind]["timestamp"])

    def targets(
        self,
        scope: str,
        version: int,
        listed: dict[str, TargetFile],
        *,
        delegations: Delegations | None = None,
        expires: datetime | None = None,
    ) -> Targets:
        fields: dict[str, Any] = {SCOPE: scope}
        return Targets(version, None, expires or after(days=180), dict(listed), delegations, fields)

    def sign(self, signed: Signed, *signers: Signer) -> bytes:
        found: Metadata[Any] = Metadata(signed)
        for each in signers:
            found.sign(each, append=True)
        data: bytes = found.to_bytes(COMPACT)
        return data

    def _next(self, repository: str) -> int:
        self.versions[repository] = self.versions.get(repository, 0) + 1
        return self.versions[repository]


def _target(path: str, data: bytes, custom: dict[str, Any] | None = None) -> TargetFile:
    fields = {"custom": custom} if custom else None
    return TargetFile(len(data), {"sha256": hashlib.sha256(data).hexdigest()}, path, fields)


def _described(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})
