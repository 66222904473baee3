"""The threat model's attacks, each against python-tuf's own client: what stops it, and what only our part stops."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from core.clock import now
from core.errors import InvalidRequest
from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories import ceremony, mark_dirty, metadata, release
from plugins_registry.repositories.metadata import Published
from plugins_registry.signing.errors import CeremonyRefused
from plugins_registry.signing.roles import ONLINE, Role
from plugins_registry.signing.signers import signer_for
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded, Served

PATH = "slow-tools/1.0.0/linux-amd64"
Buyer = Any  # a customer, its key, its build


@pytest.fixture
def acme(registry: Founded) -> Buyer:
    """A customer with one build, which the director lists."""
    buyer, key = world.customer("Acme", "pro", at=now())
    build = world.built(world.published(registry, "slow-tools", at=now()), buyer)
    mark_dirty(buyer)
    world.publish()
    return buyer, key, build


def file(repository: str, path: str) -> bytes:
    return bytes(MetadataFile.objects.get(repository__name=repository, path=path).bytes)


def again(buyer: Any) -> None:
    mark_dirty(buyer)
    world.publish()


def test_rollback_an_older_timestamp_is_refused(acme: Buyer, tmp_path: Path) -> None:
    buyer, key, _ = acme
    old = file(buyer.public_id, "timestamp.json")
    again(buyer)
    world.director_client(tmp_path, buyer, Served(key)).refresh()
    hostile = Served(key)
    hostile.swapped["timestamp.json"] = old
    with pytest.raises(BadVersionNumberError):
        world.director_client(tmp_path, buyer, hostile).refresh()


def test_freeze_a_timestamp_that_is_kept_back_is_refused_after_its_day(acme: Buyer, tmp_path: Path) -> None:
    buyer, key, _ = acme
    frozen = Served(key)
    frozen.swapped["timestamp.json"] = file(buyer.public_id, "timestamp.json")
    with time_machine.travel(now() + timedelta(days=1, seconds=2)), pytest.raises(ExpiredMetadataError):
        world.director_client(tmp_path, buyer, frozen).refresh()


def test_mix_and_match_a_snapshot_of_another_moment_is_refused(acme: Buyer, tmp_path: Path) -> None:
    buyer, key, _ = acme
    state = RepositoryState.objects.get(name=buyer.public_id)
    old = file(buyer.public_id, f"{state.version}.snapshot.json")
    again(buyer)
    hostile = Served(key)
    hostile.swapped[f"{state.version + 1}.snapshot.json"] = old
    with pytest.raises(RepositoryError):
        world.director_client(tmp_path, buyer, hostile).refresh()


def test_endless_data_is_cut_off_at_what_was_signed(acme: Buyer, tmp_path: Path) -> None:
    buyer, key, build = acme
    endless = Served(key)
    endless.swapped[f"{build.sha256}.{Path(path_of(build)).name}"] = build.package.read() + b"\0" * 2_000_000
    client = world.director_client(tmp_path, buyer, endless)
    info = client.get_targetinfo(path_of(build))
    assert info is not None
    with pytest.raises(DownloadLengthMismatchError):
        client.download_target(info)
    endless.swapped["timestamp.json"] = b" " * 2_000_000
    with pytest.raises(DownloadLengthMismatchError):
        world.director_client(tmp_path, buyer, endless).refresh()


def test_a_tampered_package_is_refused(acme: Buyer, tmp_path: Path) -> None:
    buyer, key, build = acme
    data = bytearray(build.package.read())
    data[7] ^= 1
    hostile = Served(key)
    hostile.swapped[f"{build.sha256}.{Path(path_of(build)).name}"] = bytes(data)
    client = world.director_client(tmp_path, buyer, hostile)
    info = client.get_targetinfo(path_of(build))
    assert info is not None
    with pytest.raises(LengthOrHashMismatchError):
        client.download_target(info)


class Redirected(Served):
    """Answers with another customer's repository: a hostile server, or one that is confused."""

    def __init__(self, key: str, mine: str, theirs: str) -> None:
        super().__init__(key)
        self._mine, self._theirs = mine, theirs

    def _answer(self, path: str) -> tuple[int, bytes]:
        return super()._answer(path.replace(self._mine, self._theirs))


def test_another_customers_repository_satisfies_plain_tuf_and_only_its_scope_gives_it_away(
    registry: Founded, acme: Buyer, tmp_path: Path
) -> None:
    buyer, key, _ = acme
    globex, _ = world.customer("Globex", "free", at=now())
    again(globex)
    hostile = Redirected(key, globex.public_id, buyer.public_id)
    client = world.director_client(tmp_path, globex, hostile)
    assert world.listed(client) == ["slow-tools/1.0.0"]  # plain TUF takes it: the keys are right
    for role in ("timestamp", "snapshot", "targets"):
        signed = Metadata.from_file(str(tmp_path / f"{role}.json")).signed
        assert metadata.scope_of(signed) == buyer.public_id  # and each role says whose it is


def test_every_published_role_says_whose_it_is(acme: Buyer) -> None:
    for row in MetadataFile.objects.filter(path__endswith=".json").exclude(path__startswith="targets/"):
        signed = json.loads(bytes(row.bytes))["signed"]
        assert signed["x-km-scope"] == row.repository.name, row


def test_a_stolen_timestamp_key_can_hold_back_for_a_day_and_nothing_else(acme: Buyer, tmp_path: Path) -> None:
    buyer, key, _ = acme
    forged = Metadata(Snapshot(99, None, later(), {"targets.json": MetaFile(99)}, {metadata.SCOPE: buyer.public_id}))
    forged.sign(signer_for(Role.DIRECTOR_TIMESTAMP))  # the only key it has
    hostile = Served(key)
    hostile.swapped["99.snapshot.json"] = snapshot = metadata.written(forged)
    hostile.swapped["timestamp.json"] = stamped(buyer.public_id, 99, Published(99, snapshot).described())
    with pytest.raises(UnsignedMetadataError):
        world.director_client(tmp_path, buyer, hostile).refresh()
    assert world.listed(world.director_client(tmp_path / "new", buyer, Served(key))) == ["slow-tools/1.0.0"]


def test_stolen_director_keys_and_build_server_cannot_offer_code_nobody_reviewed(
    acme: Buyer, registry: Founded, tmp_path: Path
) -> None:
    buyer, key, _ = acme
    evil = b"payload that nobody reviewed"
    digest = hashlib.sha256(evil).hexdigest()
    name = f"{PATH}/km-plugin-slow-tools-{digest[:12]}.kmpkg"
    target = metadata.target(name, len(evil), digest, {"payload_digest": digest})
    hostile = forged_director(buyer, key, [target])
    client = world.director_client(tmp_path / "director", buyer, hostile)
    offered = client.get_targetinfo(name)
    assert offered is not None and offered.custom is not None  # the director's keys are all it takes to be listed
    reviewed = world.catalog_client(tmp_path / "catalog").get_targetinfo(PATH)
    assert reviewed is not None and reviewed.custom is not None
    assert reviewed.custom["payload_digest"] != offered.custom["payload_digest"]  # and not to be believed
    with pytest.raises(UnsignedMetadataError):  # every online key together cannot write a release
        forged_catalog(digest, tmp_path / "forged")


def test_one_of_two_reviewer_keys_certifies_nothing(registry: Founded, acme: Buyer, tmp_path: Path) -> None:
    world.approved(registry, "evil-tools", at=now())
    row, person = registry.reviewer_rows[0], registry.reviewers[0]
    [pending] = [each for each in release.pending(row, at=now()) if b"evil-tools" in each.signed]
    signature = person.private.sign(pending.signed)
    assert not release.accept(row, pending.repository, pending.role, pending.version, signature, at=now())
    assert not release.accept(row, pending.repository, pending.role, pending.version, signature, at=now())  # nor twice
    world.publish()
    assert world.catalog_client(tmp_path).get_targetinfo("evil-tools/1.0.0/linux-amd64") is None


def test_a_stranger_cannot_sign_a_release_nor_one_reviewer_for_another(registry: Founded) -> None:
    world.approved(registry, "evil-tools", at=now())
    stranger = world.Person()
    row = world.registered(stranger, "stranger", at=now())
    assert release.pending(row, at=now()) == []
    pending = release.pending(registry.reviewer_rows[0], at=now())[0]
    place = (pending.repository, pending.role, pending.version)
    with pytest.raises(InvalidRequest):
        release.accept(row, *place, stranger.private.sign(pending.signed), at=now())
    with pytest.raises(InvalidRequest):
        release.accept(registry.reviewer_rows[1], *place, stranger.private.sign(pending.signed), at=now())


def test_a_revoked_root_key_counts_for_nothing_with_one_other(registry: Founded, acme: Buyer, tmp_path: Path) -> None:
    buyer, key, _ = acme
    world.director_client(tmp_path, buyer, Served(key)).refresh()
    lost, kept = registry.roots[0], registry.roots[1:]
    new = world.Person()
    plan = ceremony.with_root_key(nothing(), lost.public.keyid, new.public)
    registry.signed(plan, kept, at=now())
    world.director_client(tmp_path, buyer, Served(key)).refresh()
    forged = metadata.root("director", 3, later(), {"root": [lost.public, kept[0].public, new.public]})
    for role, online in (
        ("targets", "director-targets"),
        ("snapshot", "director-snapshot"),
        ("timestamp", "director-timestamp"),
    ):
        forged.signed.add_key(signer_for(Role(online)).public_key, role)
    for person in (lost, kept[0]):
        forged.sign(CryptoSigner(person.private, person.public), append=True)
    hostile = Served(key)
    hostile.swapped["3.root.json"] = metadata.written(forged)
    with pytest.raises(UnsignedMetadataError):
        world.director_client(tmp_path, buyer, hostile).refresh()


def test_a_root_with_one_signature_is_not_published(registry: Founded) -> None:
    plan = ceremony.with_root_key(nothing(), registry.roots[0].public.keyid, world.Person().public)
    with pytest.raises(CeremonyRefused):
        registry.signed(plan, registry.roots[1:2], at=now())
    latest = ceremony.latest_root("director")
    assert latest is not None and latest.signed.version == 1


def test_an_online_key_is_rotated_and_clients_follow(registry: Founded, acme: Buyer, tmp_path: Path) -> None:
    buyer, key, _ = acme
    world.director_client(tmp_path, buyer, Served(key)).refresh()
    before = signer_for(Role.DIRECTOR_TARGETS).public_key.keyid
    plan = ceremony.with_new_key(nothing(), Role.DIRECTOR_TARGETS)
    assert signer_for(Role.DIRECTOR_TARGETS).public_key.keyid == before  # a staged key signs nothing
    assert registry.signed(plan, registry.roots[:2], at=now()) == ["director.root.json"]
    world.publish()
    assert signer_for(Role.DIRECTOR_TARGETS).public_key.keyid != before
    assert world.listed(world.director_client(tmp_path, buyer, Served(key))) == ["slow-tools/1.0.0"]


def test_after_an_emergency_nothing_of_the_stolen_keys_counts_even_with_a_higher_version(
    registry: Founded, acme: Buyer, tmp_path: Path
) -> None:
    buyer, key, build = acme
    stolen = {role: signer_for(role) for role in ONLINE}
    poisoned = forged_director(buyer, key, [], version=5_000)
    world.director_client(tmp_path, buyer, poisoned).refresh()  # the thief fast-forwarded this laptop
    plan = nothing()
    for role in ONLINE:
        plan = ceremony.with_new_key(plan, role)
    plan = replace(plan, issuers=plan.issuers[-1:], changed=ceremony.EVERYTHING)
    registry.signed(plan, [*registry.roots[:2], registry.targets], at=now(), emergency=True)
    registry.review(at=now())
    world.publish()
    assert world.listed(world.director_client(tmp_path, buyer, Served(key))) == []  # packages are built again first
    build.refresh_from_db()
    assert build.revoked_at is not None
    thief = forged_director(buyer, key, [], version=6_000, keys=stolen)
    with pytest.raises(UnsignedMetadataError):
        world.director_client(tmp_path, buyer, thief).refresh()
    targets = world.catalog_client(tmp_path / "catalog")
    assert targets.get_targetinfo(PATH) is not None
    issuers = json.loads(file("catalog", "2.targets.json"))["signed"]["x-km-issuers"]
    assert list(issuers) == [signer_for(Role.ISSUER).public_key.keyid]


def nothing() -> ceremony.Plan:
    return replace(ceremony.present_plan(), changed=frozenset())


def later() -> Any:
    return now() + timedelta(days=30)


def path_of(build: Any) -> str:
    return f"{PATH}/km-plugin-slow-tools-{build.sha256[:12]}.kmpkg"


def stamped(scope: str, version: int, snapshot: MetaFile, signer: Signer | None = None) -> bytes:
    unsigned = Metadata(Timestamp(version, None, later(), snapshot, {metadata.SCOPE: scope}))
    return metadata.signed_by(unsigned, signer or signer_for(Role.DIRECTOR_TIMESTAMP))


def forged_director(
    buyer: Any, key: str, listed: list[Any], *, version: int = 99, keys: dict[Role, Signer] | None = None
) -> Served:
    """What whoever has all three keys of the directors can serve."""
    held = keys or {role: signer_for(role) for role in ONLINE}
    scope = buyer.public_id
    targets = metadata.signed_by(metadata.targets(scope, version, later(), listed), held[Role.DIRECTOR_TARGETS])
    roles = {"targets": Published(version, targets)}
    snapshot = metadata.signed_by(metadata.snapshot(scope, version, later(), roles), held[Role.DIRECTOR_SNAPSHOT])
    served = Served(key)
    served.swapped[f"{version}.targets.json"] = targets
    served.swapped[f"{version}.snapshot.json"] = snapshot
    described = Published(version, snapshot).described()
    served.swapped["timestamp.json"] = stamped(scope, version, described, held[Role.DIRECTOR_TIMESTAMP])
    return served


def forged_catalog(digest: str, directory: Path) -> None:
    """A catalog whose release is signed with every online key there is."""
    state = RepositoryState.objects.get(name="catalog")
    bins = release.bins(state)
    assert bins is not None
    role = bins.get_role_for_target(PATH)
    evil = metadata.targets("catalog", 99, later(), [metadata.target(PATH, 0, digest, {"payload_digest": digest})])
    for online in ONLINE:
        evil.sign(signer_for(online), append=True)
    served = Served()
    served.swapped[f"99.{role}.json"] = data = metadata.written(evil)
    current = Metadata[Snapshot].from_bytes(file("catalog", f"{state.version}.snapshot.json"))
    current.signed.version = 99
    current.signed.meta[f"{role}.json"] = Published(99, data).described()
    snapshot = metadata.signed_by(current, signer_for(Role.CATALOG_SNAPSHOT))
    served.swapped["99.snapshot.json"] = snapshot
    described = Published(99, snapshot).described()
    served.swapped["timestamp.json"] = stamped("catalog", 99, described, signer_for(Role.CATALOG_TIMESTAMP))
    world.catalog_client(directory, served).get_targetinfo(PATH)
