"""Founding the registry, and changing whose keys count: three steps, of which the server does the first and the last.

    prepare(directory, plan, at=moment)     writes what is to be signed: roots, and the catalog's targets
    sign(directory, private_key)            at each key holder's own machine; needs no database
    assemble(directory, at=moment)          checks every signature, publishes, and lets staged keys sign

    1.catalog.root.json  1.director.root.json  1.catalog.targets.json     in `directory`, which goes from hand to hand

Both kinds of repository have a root of their own, signed by the same two of three people. A root is accepted only if
the one before it would accept it too, and if every key it names is one this server holds or was told of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction
from km_protocol.kmpkg import keys
from securesystemslib.signer import CryptoSigner, Key, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets

from customers import audit
from plugins_registry import reviewer_keys
from plugins_registry.models import BuildState, CustomerBuild, RepositoryState, ReviewerKey, SigningRole
from plugins_registry.repositories import delegating, dirty, files, metadata, release
from plugins_registry.repositories.dirty import CATALOG
from plugins_registry.repositories.metadata import Published
from plugins_registry.signing import key_files, key_rows
from plugins_registry.signing.errors import CeremonyRefused
from plugins_registry.signing.roles import (
    CATALOG_TARGETS_LIFETIME,
    ONLINE,
    REVIEW_THRESHOLD,
    ROOT_KEYS,
    ROOT_LIFETIME,
    ROOT_THRESHOLD,
    Role,
)

DIRECTOR = "director"
ISSUERS = "x-km-issuers"  # in the catalog's targets: who may sign a package's own statements
BIN_BITS = 7  # 128 bins: 70 KB for five plugins out of 5,000 versions; in 64 it would be 114
EVERYTHING = frozenset({CATALOG, DIRECTOR, "targets"})
_ROLES = {
    CATALOG: {"targets": Role.CATALOG_TARGETS, "snapshot": Role.CATALOG_SNAPSHOT, "timestamp": Role.CATALOG_TIMESTAMP},
    DIRECTOR: {
        "targets": Role.DIRECTOR_TARGETS,
        "snapshot": Role.DIRECTOR_SNAPSHOT,
        "timestamp": Role.DIRECTOR_TIMESTAMP,
    },
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Whose keys are to count. `online` holds a row for each online role; `issuers` also those that still count."""

    root: tuple[SSlibKey, ...]
    catalog_targets: SSlibKey
    reviewers: tuple[SSlibKey, ...]
    online: dict[Role, SigningRole]
    issuers: tuple[SSlibKey, ...]
    bits: int = BIN_BITS
    changed: frozenset[str] = EVERYTHING


def first_plan(root: Sequence[SSlibKey], catalog_targets: SSlibKey, reviewers: Sequence[SSlibKey], bits: int) -> Plan:
    """How a registry is founded. Raises `CeremonyRefused`, `SignerUnsuitable`."""
    online = {role: key_rows.ensure(role) for role in ONLINE}
    return _checked(Plan(tuple(root), catalog_targets, tuple(reviewers), online, (_key(online[Role.ISSUER]),), bits))


def present_plan() -> Plan:
    """As it stands, before anything is changed. Raises `CeremonyRefused` before the registry was founded."""
    if latest_root(CATALOG) is None:
        raise CeremonyRefused(
            "nobody has founded this registry yet", "start with `manage.py tuf_root_ceremony prepare`"
        )
    online = {role: key_rows.ensure(role) for role in ONLINE}
    root = tuple(_key(row) for row in key_rows.active(Role.ROOT))
    targets = _key(key_rows.ensure(Role.CATALOG_TARGETS))
    plan = Plan(root, targets, present_reviewers(), online, (_key(online[Role.ISSUER]),), present_bits())
    return _checked(plan)


def with_new_key(plan: Plan, role: Role, uri: str = "") -> Plan:
    """`plan` with a staged key for an online role. The issuer before counts on: what it signed is still installed."""
    row = key_rows.stage(role, uri)
    changed = {name for name, roles in _ROLES.items() if role in roles.values()} or {"targets"}
    issuers = (*plan.issuers, _key(row)) if role is Role.ISSUER else plan.issuers
    return replace(plan, online={**plan.online, role: row}, issuers=issuers, changed=plan.changed | changed)


def with_root_key(plan: Plan, old: str, new: SSlibKey) -> Plan:
    """`plan` with another root key in the place of `old`. Raises `CeremonyRefused`."""
    if old not in {key.keyid for key in plan.root}:
        known = ", ".join(f"`{key.keyid}`" for key in plan.root)
        raise CeremonyRefused(f"`{old}` is no key of the root", f"its keys are {known}")
    root = tuple(new if key.keyid == old else key for key in plan.root)
    return _checked(replace(plan, root=root, changed=plan.changed | {CATALOG, DIRECTOR}))


def with_targets_key(plan: Plan, new: SSlibKey) -> Plan:
    """`plan` with another offline key of the catalog's targets. Raises `CeremonyRefused`."""
    return _checked(replace(plan, catalog_targets=new, changed=plan.changed | {CATALOG, "targets"}))


def present_bits() -> int:
    """How many bits choose a bin."""
    state = RepositoryState.objects.filter(name=CATALOG).first()
    bins = release.bins(state) if state else None
    return bins.bit_length if bins else BIN_BITS


def present_reviewers() -> tuple[SSlibKey, ...]:
    """Every reviewer's key that was registered and not revoked."""
    rows = ReviewerKey.objects.filter(revoked_at__isnull=True).order_by("id")
    return tuple(key_files.ed25519_key(reviewer_keys.raw_key(row)) for row in rows)


def prepare(directory: Path, plan: Plan, *, at: datetime) -> list[Path]:
    """Write what `plan` changes, unsigned. Returns the files."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    written = []
    for name, unsigned in _documents(plan, at):
        path = directory / name
        if path.exists():
            raise CeremonyRefused(f"`{path}` is from another ceremony", "give an empty directory")
        path.write_bytes(metadata.written(unsigned))
        written.append(path)
    return written


def sign(directory: Path, private_key: Ed25519PrivateKey) -> list[Path]:
    """Put the key's signature under every file there that is one of a ceremony. Returns those."""
    signer = CryptoSigner(private_key, key_files.public_of(private_key))
    paths = sorted(directory.glob("*.json"))
    for path in paths:
        document = read(path)
        document.sign(signer, append=True)
        draft = path.with_suffix(".new")
        draft.write_bytes(metadata.written(document))
        draft.replace(path)
    if not paths:
        raise CeremonyRefused(f"there is nothing to sign in `{directory}`", "`prepare` writes it")
    return paths


def read(path: Path) -> Metadata[Any]:
    """A file of a ceremony. Raises `CeremonyRefused`."""
    try:
        return Metadata.from_bytes(path.read_bytes())
    except (OSError, RepositoryError) as error:
        raise CeremonyRefused(f"`{path}` cannot be read: {error}", "take the file as `prepare` wrote it") from None


def assemble(directory: Path, *, at: datetime, actor: str = audit.SYSTEM, emergency: bool = False) -> list[str]:
    """Check and publish what was signed. Returns what is published. Raises `CeremonyRefused`; then nothing changed.

    After an emergency no package counts that the issuer before signed: all are revoked, and built again when asked for.
    """
    found = {path.name.partition(".")[2]: read(path) for path in sorted(directory.glob("*.json"))}
    with transaction.atomic():
        for repository in (CATALOG, DIRECTOR):
            if f"{repository}.root.json" in found:
                _accept_root(repository, found[f"{repository}.root.json"], at)
        if f"{CATALOG}.targets.json" in found:
            _accept_targets(found[f"{CATALOG}.targets.json"], at)
        if not found or not all(name.endswith((".root.json", ".targets.json")) for name in found):
            raise CeremonyRefused(f"`{directory}` does not hold what `prepare` wrote", "take that directory")
        if emergency:
            CustomerBuild.objects.filter(state=BuildState.BUILT, revoked_at__isnull=True).update(revoked_at=at)
        dirty.mark_everyone_dirty()
        names = sorted(found)
        audit.record("root.assembled", subject="root", at=at, actor=actor, files=names, emergency=emergency)
    release.prepare(at=at)
    return names


def latest_root(repository: str) -> Metadata[Root] | None:
    """The newest root of `catalog` or `director`."""
    state = RepositoryState.objects.filter(name=repository).first()
    published = files.newest(state, "root") if state else None
    return Metadata[Root].from_bytes(published.data) if published else None


def _checked(plan: Plan) -> Plan:
    if len({key.keyid for key in plan.root}) != ROOT_KEYS:
        raise CeremonyRefused(f"the root has {ROOT_KEYS} different keys, held by {ROOT_KEYS} people", "name each once")
    if len({key.keyid for key in plan.reviewers}) < REVIEW_THRESHOLD:
        raise CeremonyRefused(
            f"{REVIEW_THRESHOLD} reviewers must sign, and {len(plan.reviewers)} have a key",
            "let each run `km-review key new` and register it, or give `--reviewer FILE`",
        )
    groups = ({key.keyid for key in plan.root}, {plan.catalog_targets.keyid}, {key.keyid for key in plan.reviewers})
    if len(frozenset().union(*groups)) != sum(map(len, groups)):
        raise CeremonyRefused("one key would have two roles: one theft would be two", "give each role keys of its own")
    return plan


def _documents(plan: Plan, at: datetime) -> Iterator[tuple[str, Metadata[Any]]]:
    for repository, roles in _ROLES.items():
        if repository in plan.changed:
            before = latest_root(repository)
            version = before.signed.version + 1 if before else 1
            held = {name: [_holder(plan, role)] for name, role in roles.items()}
            root = metadata.root(repository, version, at + ROOT_LIFETIME, {"root": plan.root, **held})
            yield f"{version}.{repository}.root.json", root
    if "targets" in plan.changed:
        targets = catalog_targets(plan, at)
        yield f"{targets.signed.version}.{CATALOG}.targets.json", targets


def catalog_targets(plan: Plan, at: datetime) -> Metadata[Targets]:
    """Who certifies, who blocks, who issues: signed by the offline key."""
    before = delegating.catalog_targets()
    version = before.signed.version + 1 if before else 1
    delegations = delegating.catalog_delegations(_key(plan.online[Role.SECURITY]), plan.reviewers)
    unsigned = metadata.targets(CATALOG, version, at + CATALOG_TARGETS_LIFETIME, (), delegations=delegations)
    issuers = {key.keyid: keys.to_text(key_rows.raw_public(key)) for key in plan.issuers}
    unsigned.signed.unrecognized_fields[ISSUERS] = issuers
    unsigned.signed.unrecognized_fields["x-km-bin-bits"] = plan.bits
    return unsigned


def _holder(plan: Plan, role: Role) -> SSlibKey:
    return plan.catalog_targets if role is Role.CATALOG_TARGETS else _key(plan.online[role])


def _accept_root(repository: str, new: Metadata[Any], at: datetime) -> None:
    before = latest_root(repository)
    _require(isinstance(new.signed, Root), f"the {repository}'s root is none")
    _require(metadata.scope_of(new.signed) == repository, f"the {repository}'s root is for another repository")
    version = before.signed.version + 1 if before else 1
    _require(new.signed.version == version, f"the {repository}'s next root has version {version}")
    _require(new.signed.roles["root"].threshold == ROOT_THRESHOLD, f"a root asks for {ROOT_THRESHOLD} signatures")
    _require(new.signed.expires > at, "the root has run out already")
    _verify(new, "root", new, f"the {repository}'s root, by its own keys")
    if before is not None:
        _verify(before, "root", new, f"the {repository}'s root, by the keys of the root before it")
    for name, role in _ROLES[repository].items():
        _take(new.signed, name, role, at)
    for keyid in new.signed.roles["root"].keyids:
        key_rows.record(Role.ROOT, _named(new.signed, keyid))
    SigningRole.objects.filter(role=Role.ROOT, active=True).exclude(key_id__in=new.signed.roles["root"].keyids).update(
        active=False, retired_at=at
    )
    state, _ = RepositoryState.objects.get_or_create(name=repository)
    files.store([files.file(state, "root", Published(version, metadata.written(new)), at=at)])


def _accept_targets(new: Metadata[Any], at: datetime) -> None:
    root, before = latest_root(CATALOG), delegating.catalog_targets()
    _require(isinstance(new.signed, Targets) and root is not None, "the catalog's targets come after its root")
    assert root is not None
    version = before.signed.version + 1 if before else 1
    _require(new.signed.version == version, f"the catalog's next targets have version {version}")
    _require(metadata.scope_of(new.signed) == CATALOG, "the targets are for another repository")
    _verify(root, "targets", new, "the catalog's targets")
    delegations = new.signed.delegations
    assert delegations is not None and delegations.roles is not None
    _activate(Role.SECURITY, delegations.roles[delegating.SECURITY].keyids[0], at)
    issuers = SigningRole.objects.filter(role=Role.ISSUER, key_id__in=new.signed.unrecognized_fields[ISSUERS])
    _activate(Role.ISSUER, issuers.order_by("id").values_list("key_id", flat=True).last() or "", at)
    state, _ = RepositoryState.objects.get_or_create(name=CATALOG)
    files.store([files.file(state, "targets", Published(version, metadata.written(new)), at=at)])
    reviewers = delegating.reviewers_of(new)
    if before is None or {key.keyid for key in delegating.reviewers_of(before)} != {key.keyid for key in reviewers}:
        release.found(reviewers, int(new.signed.unrecognized_fields["x-km-bin-bits"]), at=at)


def _take(root: Root, name: str, role: Role, at: datetime) -> None:
    """The key a root names for `role` signs from now on."""
    keyids = root.roles[name].keyids
    _require(len(keyids) == 1, f"`{role}` has one key")
    if role is Role.CATALOG_TARGETS:
        key_rows.activate(key_rows.record(role, _named(root, keyids[0])), at=at)
    else:
        _activate(role, keyids[0], at)


def _activate(role: Role, keyid: str, at: datetime) -> None:
    row = SigningRole.objects.filter(role=role, key_id=keyid).first()
    if row is None:
        raise CeremonyRefused(f"the key `{keyid}` of `{role}` is none of this server's", "sign what it prepared")
    if not row.active:
        key_rows.activate(row, at=at)


def _named(root: Root, keyid: str) -> SSlibKey:
    key = root.keys[keyid]
    assert isinstance(key, SSlibKey)
    return key


def _key(row: SigningRole) -> SSlibKey:
    return key_files.key_from(row.public, row.key_id)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise CeremonyRefused(message, "start over with `prepare` in an empty directory")


def _verify(delegator: Metadata[Root], role: str, document: Metadata[Any], what: str) -> None:
    try:
        delegator.signed.verify_delegate(role, document.signed_bytes, document.signatures)
    except (RepositoryError, ValueError) as error:
        raise CeremonyRefused(f"{what}: {error}", "have enough key holders run `tuf_root_ceremony sign`") from None


def public_file(key: Key) -> bytes:
    """What a key holder hands over: the public half as JSON."""
    return json.dumps({"keyid": key.keyid, **key.to_dict()}, sort_keys=True).encode() + b"\n"


def read_public(path: Path) -> SSlibKey:
    """What `public_file` wrote. Raises `CeremonyRefused`."""
    try:
        held = json.loads(path.read_bytes())
        return key_files.key_from({name: held[name] for name in ("keytype", "scheme", "keyval")}, held["keyid"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "give the `.pub` file that `tuf_root_ceremony keygen` wrote"
        raise CeremonyRefused(f"`{path}` holds no public key: {error}", hint) from None
