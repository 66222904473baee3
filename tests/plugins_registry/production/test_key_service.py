"""A role whose key is in AWS KMS, named by its URI: a key service over HTTP signs what python-tuf's client accepts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from core.clock import now
from plugins_registry.models import RepositoryState, SigningRole
from plugins_registry.repositories import director, mark_dirty
from plugins_registry.signing import key_rows, signers
from plugins_registry.signing.errors import SignerUnreadable, SignerUnsuitable
from plugins_registry.signing.roles import Role
from tests.plugins_registry.production.servers import Aws, aws
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.conftest import own_keys
from tests.plugins_registry.repositories.world import Served

__all__ = ["own_keys"]


@pytest.fixture(scope="module")
def service() -> Iterator[Aws]:
    with tempfile.TemporaryDirectory(prefix="km-aws-") as directory, aws(Path(directory)) as running:
        yield running


@pytest.fixture
def key(service: Aws, own_keys: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a key that signs what directors list, in a service which this process finds in its environment."""
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    made = service.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    name = str(made["KeyMetadata"]["KeyId"])
    settings.SIGNER_URIS = {"director-targets": f"awskms:{name}"}
    return name


def test_a_director_that_a_key_service_signed_is_what_the_laptop_gets(db: None, key: str, tmp_path: Path) -> None:
    (tmp_path / "ceremonies").mkdir()
    registry = world.found(tmp_path / "ceremonies", at=now())
    buyer, secret = world.customer("Acme", "pro", at=now())
    world.built(world.published(registry, "slow-tools", at=now()), buyer)
    mark_dirty(buyer)
    world.publish()
    row = SigningRole.objects.get(role=Role.DIRECTOR_TARGETS)
    assert (row.uri, row.public["scheme"]) == (f"awskms:{key}", "ecdsa-sha2-nistp256")
    assert world.listed(world.director_client(tmp_path / "client", buyer, Served(secret))) == ["slow-tools/1.0.0"]
    assert world.parsed_root("director").signed.roles["targets"].keyids == [row.key_id]


def test_a_key_service_that_is_away_leaves_what_is_published_and_the_mark(
    db: None, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ceremonies").mkdir()
    world.found(tmp_path / "ceremonies", at=now())
    buyer, secret = world.customer("Acme", "pro", at=now())
    mark_dirty(buyer)
    with monkeypatch.context() as patch, pytest.raises(SignerUnreadable, match="nobody signs `targets` under the key"):
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        signers.forget()
        director.publish_due(at=now())
    state = RepositoryState.objects.get(name=buyer.public_id)
    assert (state.version, state.dirty_since is None) == (0, False)
    signers.forget()
    world.publish()
    assert world.listed(world.director_client(tmp_path / "client", buyer, Served(secret))) == []


def test_the_issuer_cannot_be_in_a_service_without_ed25519(db: None, key: str) -> None:
    with pytest.raises(SignerUnsuitable, match="must be Ed25519"):
        key_rows.stage(Role.ISSUER, f"awskms:{key}")
