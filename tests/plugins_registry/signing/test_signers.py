"""Where keys are, and what happens when one cannot be used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from django.conf import LazySettings
from km_protocol.kmpkg import dsse

from core.clock import now
from plugins_registry.models import SigningRole
from plugins_registry.signing import key_files, key_rows, signers
from plugins_registry.signing.errors import SignerUnreadable, SignerUnsuitable
from plugins_registry.signing.roles import Role
from plugins_registry.signing.signers import package_signer, signer_for

PASSPHRASE = b"correct horse battery staple"


def test_the_first_key_of_a_role_is_made_when_it_is_needed_and_kept(db: None, settings: LazySettings) -> None:
    first = signer_for(Role.DIRECTOR_TARGETS)
    signers.forget()
    assert signer_for(Role.DIRECTOR_TARGETS).public_key == first.public_key
    [file] = Path(settings.SIGNER_DIR).iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in file.read_bytes()
    row = SigningRole.objects.get(role=Role.DIRECTOR_TARGETS)
    assert row.uri == f"kmfile:{file.name}"
    assert "private" not in str(row.public)


def test_each_role_has_a_key_of_its_own(db: None) -> None:
    roles = [Role.DIRECTOR_TARGETS, Role.DIRECTOR_SNAPSHOT, Role.DIRECTOR_TIMESTAMP, Role.SECURITY, Role.ISSUER]
    assert len({signer_for(role).public_key.keyid for role in roles}) == len(roles)


def test_another_passphrase_names_the_file_and_the_next_step(db: None, settings: LazySettings) -> None:
    signer_for(Role.SECURITY)
    signers.forget()
    settings.SIGNER_PASSPHRASE = "another passphrase"
    with pytest.raises(SignerUnreadable, match="is not encrypted under this passphrase") as caught:
        signer_for(Role.SECURITY)
    assert "tuf_rotate" in caught.value.hint


@pytest.mark.parametrize(
    "damage", [b"", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"]
)
def test_a_damaged_file_is_an_error_and_never_a_new_key(db: None, settings: LazySettings, damage: bytes) -> None:
    signer_for(Role.SECURITY)
    [file] = Path(settings.SIGNER_DIR).iterdir()
    file.write_bytes(damage)
    signers.forget()
    with pytest.raises(SignerUnreadable):
        signer_for(Role.SECURITY)
    file.unlink()
    with pytest.raises(SignerUnreadable):
        signer_for(Role.SECURITY)
    assert SigningRole.objects.filter(role=Role.SECURITY).count() == 1


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    key_files.create(tmp_path / "ann.pem", PASSPHRASE)
    with pytest.raises(FileExistsError):
        key_files.create(tmp_path / "ann.pem", PASSPHRASE)


def test_an_offline_role_is_never_given_a_key_by_the_server(db: None) -> None:
    with pytest.raises(SignerUnsuitable, match="nobody has founded"):
        key_rows.ensure(Role.ROOT)


def test_the_issuer_signs_what_a_package_holds(db: None) -> None:
    issuer = package_signer()
    envelope = dsse.sign(b'{"a":1}', [issuer])
    assert dsse.verify(envelope, {issuer.keyid: issuer.public}, 1) == b'{"a":1}'


def test_a_staged_key_signs_nothing_until_it_is_activated(db: None) -> None:
    before = signer_for(Role.SECURITY).public_key.keyid
    staged = key_rows.stage(Role.SECURITY)
    assert signer_for(Role.SECURITY).public_key.keyid == before
    key_rows.activate(staged, at=now())
    assert signer_for(Role.SECURITY).public_key.keyid == staged.key_id != before


@pytest.mark.parametrize("uri", ["nonsense:1", "hsm:x", "hsm:9?label=nobody", "hv:key/1", "awskms:key", "gcpkms:key"])
def test_a_uri_that_leads_to_no_key_says_so(
    db: None, settings: LazySettings, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYKCS11LIB", raising=False)
    settings.SIGNER_URIS = {"director-targets": uri}
    with pytest.raises(SignerUnsuitable, match="gives no public key"):
        signer_for(Role.DIRECTOR_TARGETS)
    assert not SigningRole.objects.exists()
