"""What waits for reviewers' signatures: drafted from the rows, shown with what it changes, published by two."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from tuf.api.metadata import Metadata, Targets

from core.clock import now
from core.errors import NotFound
from plugins_registry.models import Approval, ReleaseDraft, RepositoryState
from plugins_registry.repositories import ceremony, delegating, files, mark_dirty, release
from plugins_registry.states import Action, State, transition
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded, Served

PATH = "slow-tools/1.0.0/linux-amd64"


def drafted(registry: Founded, reviewer: int = 0) -> list[str]:
    """The roles a reviewer is asked to sign."""
    return [each.role for each in release.pending(registry.reviewer_rows[reviewer], at=now())]


def sign_one(registry: Founded, reviewer: int) -> None:
    registry.review(at=now(), reviewers=(reviewer,))


def test_with_both_signatures_a_version_is_in_the_catalog_and_its_revision_is_published(
    registry: Founded, tmp_path: Path
) -> None:
    payload = world.approved(registry, "slow-tools", at=now())
    sign_one(registry, 0)
    world.publish()
    assert world.catalog_client(tmp_path).get_targetinfo(PATH) is None
    sign_one(registry, 1)
    payload.revision.refresh_from_db()
    assert payload.revision.state == State.PUBLISHED
    world.publish()
    info = world.catalog_client(tmp_path).get_targetinfo(PATH)
    assert info is not None
    assert info.custom == {"payload_digest": payload.payload_digest, "permissions": ["network"]}


def test_a_revision_without_both_statements_is_not_published_though_the_catalog_lists_it(registry: Founded) -> None:
    payload = world.approved(registry, "slow-tools", at=now())
    Approval.objects.filter(reviewer_key=registry.reviewer_rows[1])._raw_delete("default")
    registry.review(at=now())
    payload.revision.refresh_from_db()
    assert payload.revision.state == State.APPROVED


def test_nothing_waits_while_nothing_changed(registry: Founded) -> None:
    world.published(registry, "slow-tools", at=now())
    assert release.prepare(at=now()) == 0
    assert drafted(registry) == []


def test_a_draft_that_one_has_signed_is_finished_before_the_next_begins(registry: Founded) -> None:
    world.approved(registry, "slow-tools", at=now())
    [role] = drafted(registry)
    sign_one(registry, 0)
    names = (f"other-{number}" for number in range(100))
    sorting = release.bins(RepositoryState.objects.get(name="catalog"))
    assert sorting is not None
    name = next(each for each in names if sorting.get_role_for_target(f"{each}/1.0.0/linux-amd64") == role)
    world.approved(registry, name, at=now())
    [pending] = release.pending(registry.reviewer_rows[1], at=now())
    assert name.encode() not in pending.signed
    assert registry.review(at=now(), reviewers=(1,)) == 1
    [following] = release.pending(registry.reviewer_rows[0], at=now())
    assert name.encode() in following.signed and b"slow-tools" in following.signed
    assert following.version == pending.version + 1
    assert following.published is not None and name.encode() not in following.published


def test_what_is_taken_back_leaves_even_a_draft_that_was_signed(registry: Founded) -> None:
    payload = world.approved(registry, "slow-tools", at=now())
    sign_one(registry, 0)
    [pending] = release.pending(registry.reviewer_rows[1], at=now())
    transition(payload.revision_id, Action.YANK, "system", now())
    signature = registry.reviewers[1].private.sign(pending.signed)
    assert drafted(registry, 1) == []
    with pytest.raises(NotFound):
        release.accept(registry.reviewer_rows[1], "catalog", pending.role, pending.version, signature, at=now())


def test_a_yanked_version_leaves_the_catalog_with_the_next_signatures(registry: Founded, tmp_path: Path) -> None:
    payload = world.published(registry, "slow-tools", at=now())
    transition(payload.revision_id, Action.YANK, "system", now())
    registry.review(at=now())
    world.publish()
    assert world.catalog_client(tmp_path).get_targetinfo(PATH) is None


def test_a_release_is_drafted_again_before_it_runs_out(registry: Founded) -> None:
    world.published(registry, "slow-tools", at=now())
    assert release.prepare(at=now() + timedelta(days=100)) == 0
    assert release.prepare(at=now() + timedelta(days=130)) == 3  # `release` itself and both bins


def test_another_reviewer_signs_only_once_people_have_named_them(registry: Founded, tmp_path: Path) -> None:
    world.published(registry, "slow-tools", at=now())
    third = world.Person()
    registry.reviewers.append(third)
    registry.reviewer_rows.append(world.registered(third, "third", at=now()))
    world.approved(registry, "other", at=now())
    assert drafted(registry, 2) == []
    plan = replace(ceremony.present_plan(), changed=frozenset({"targets"}))
    registry.signed(plan, [registry.targets], at=now())
    registry.review(at=now(), reviewers=(0, 2))  # `release` itself, which names the third to the bins
    registry.review(at=now(), reviewers=(0, 2))
    world.publish()
    client = world.catalog_client(tmp_path)
    assert client.get_targetinfo("other/1.0.0/linux-amd64") is not None
    assert client.get_targetinfo(PATH) is not None


def test_what_a_revoked_reviewer_signed_is_signed_again_by_those_who_count(registry: Founded, tmp_path: Path) -> None:
    world.published(registry, "slow-tools", at=now())
    third = world.Person()
    registry.reviewers.append(third)
    registry.reviewer_rows.append(world.registered(third, "third", at=now()))
    gone = registry.reviewer_rows[0]
    gone.revoked_at = now()
    gone.save()
    plan = replace(ceremony.present_plan(), changed=frozenset({"targets"}))
    registry.signed(plan, [registry.targets], at=now())
    assert release.pending(gone, at=now()) == []
    for _ in range(2):
        registry.review(at=now(), reviewers=(1, 2))
    world.publish()
    assert world.catalog_client(tmp_path).get_targetinfo(PATH) is not None
    bins = ReleaseDraft.objects.filter(completed_at__isnull=True)
    assert not bins.exists()


def test_a_private_release_is_bound_to_its_owner_and_certified_by_the_catalogs_reviewers(registry: Founded) -> None:
    acme, _ = world.customer("Acme", "enterprise", at=now())
    payload = world.published(registry, "secret-tools", owner=acme, private=True, at=now())
    mark_dirty(acme)
    world.publish()
    state = RepositoryState.objects.get(name=acme.public_id)
    found = files.newest(state, "release")
    assert found is not None
    signed = Metadata[Targets].from_bytes(found.data)
    assert signed.signed.unrecognized_fields["x-km-scope"] == acme.public_id
    catalog = delegating.catalog_targets()
    assert catalog is not None
    catalog.verify_delegate("release", signed)  # what a client does, whatever the director says
    assert payload.payload_digest.encode() in found.data


def test_after_a_restore_laptops_see_no_rollback(registry: Founded, tmp_path: Path) -> None:
    acme, key = world.customer("Acme", "pro", at=now())
    for _ in range(3):
        mark_dirty(acme)
        world.publish()
    world.director_client(tmp_path, acme, Served(key)).refresh()
    RepositoryState.objects.filter(name=acme.public_id).update(version=1, timestamp_version=1)  # the backup's
    call_command("publish_catalog", "--after-restore", verbosity=0)
    assert world.listed(world.director_client(tmp_path, acme, Served(key))) == []
