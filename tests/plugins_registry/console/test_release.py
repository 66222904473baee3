"""`km-review release` before a founded catalog: two reviewers' signatures publish, one's and a stranger's do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from django.conf import LazySettings
from django.contrib.auth.models import Permission
from django.core.cache import cache
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import PayloadBuild, ReviewerKey
from plugins_registry.signing import signers
from plugins_registry.states import transition
from tests.plugins_registry.console.test_km_review import PASSPHRASE, Laptop
from tests.plugins_registry.console.world import World
from tests.plugins_registry.repositories import world as repositories
from tests.plugins_registry.repositories.world import Person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_signers(tmp_path: Path, settings: LazySettings) -> Iterator[None]:
    """The service's own keys are this test's."""
    settings.SIGNER_DIR = tmp_path / "signers"
    settings.SIGNER_PASSPHRASE = PASSPHRASE
    settings.SIGNER_URIS = {}
    signers.forget()
    cache.clear()
    yield
    signers.forget()
    cache.clear()


def laptop_of(person: Person, row: ReviewerKey, path: Path, server: str) -> Laptop:
    """The machine of a reviewer whom the ceremony named, with their key as `km-review` keeps it."""
    form = (Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode()))
    path.write_bytes(person.private.private_bytes(*form))
    row.user.is_staff = True
    row.user.save()
    row.user.user_permissions.set(Permission.objects.filter(codename__in=("review_code", "review_security")))
    return Laptop(path, server)


@pytest.fixture
def payload(db: None, tmp_path: Path, live_server: LiveServer) -> tuple[PayloadBuild, list[Laptop]]:
    """A build that has its approvals and waits for the catalog, and its two reviewers' machines."""
    (tmp_path / "ceremonies").mkdir()
    registry = repositories.found(tmp_path / "ceremonies", at=now())
    build = repositories.approved(registry, "slow-tools", at=now())
    if build.revision.state == State.APPROVED:
        transition(build.revision.pk, Action.BUILD, "system", now())
    people = zip(registry.reviewers, registry.reviewer_rows, strict=True)
    laptops = [laptop_of(who, row, tmp_path / f"{row.pk}.pem", live_server.url) for who, row in people]
    return build, laptops


def test_two_reviewers_signatures_publish_a_plugin(payload: tuple[PayloadBuild, list[Laptop]]) -> None:
    build, (first, second) = payload
    refused = first.run("release", typed=(PASSPHRASE, "no"))
    assert refused.returncode == 1
    assert build.payload_digest in refused.stdout
    assert "NOT certified with this key on this machine" in refused.stdout
    done = first.run("release", typed=(PASSPHRASE, "sign"))
    assert "it waits for another reviewer" in done.stdout, done.stderr
    assert "Nothing of the catalog waits" in first.run("release").stdout
    build.revision.refresh_from_db()
    assert build.revision.state == State.BUILDING
    assert ": published." in second.run("release", typed=(PASSPHRASE, "sign")).stdout
    build.revision.refresh_from_db()
    assert build.revision.state == State.PUBLISHED


def test_a_reviewer_whom_no_ceremony_named_has_nothing_to_sign(
    payload: tuple[PayloadBuild, list[Laptop]], tmp_path: Path
) -> None:
    newcomer = Laptop(tmp_path / "new" / "key.pem", payload[1][0].server)
    newcomer.enroll(World().ann)
    assert "Nothing of the catalog waits" in newcomer.run("release").stdout
