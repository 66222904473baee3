"""Where keys are, and what happens when one cannot be used."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import LazySettings
from km_protocol.kmpkg import dsse
from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.metadata import Metadata

from core.clock import now
from plugins_registry.models import SigningRole
from plugins_registry.repositories import ceremony
from plugins_registry.signing import Role, key_files, key_rows, package_signer, signer_for, signers
from plugins_registry.signing.errors import SignerUnreadable, SignerUnsuitable
from tests.plugins_registry.repositories.world import Founded

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")]
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


@pytest.fixture
def softhsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> str:
    """The URI of an EC key in a token of SoftHSM."""
    module = next((each for each in MODULES if each.exists()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed: `scripts/test` installs softhsm2")
    (tmp_path / "tokens").mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    monkeypatch.setenv("PYKCS11LIB", str(module))
    settings.HSM_PIN = "1234"
    make = ["softhsm2-util", "--init-token", "--free", "--label", "registry", "--so-pin", "5678", "--pin", "1234"]
    subprocess.run(make, check=True, capture_output=True)
    # In a process of its own: the module reads its configuration once a process.
    subprocess.run([sys.executable, "-c", _MAKE_KEY, str(module)], check=True, env=os.environ.copy())
    return "hsm:2?label=registry"


_MAKE_KEY = """
import sys, pkcs11
from pkcs11.util.ec import encode_named_curve_parameters
token = pkcs11.lib(sys.argv[1]).get_token(token_label="registry")
with token.open(user_pin="1234", rw=True) as session:
    curve = encode_named_curve_parameters("secp256r1")
    parameters = session.create_domain_parameters(pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True)
    parameters.generate_keypair(id=bytes([2]), label="registry", store=True, mechanism_param=None)
"""


def test_a_key_in_a_hardware_module_signs_and_never_leaves_it(db: None, softhsm: str, settings: LazySettings) -> None:
    settings.SIGNER_URIS = {"director-targets": softhsm}
    signer = signer_for(Role.DIRECTOR_TARGETS)
    signature = signer.sign(b"what is signed")
    signer.public_key.verify_signature(signature, b"what is signed")
    with pytest.raises(UnverifiedSignatureError):
        signer.public_key.verify_signature(signature, b"what is not")
    assert SigningRole.objects.get(role=Role.DIRECTOR_TARGETS).uri == softhsm
    assert not Path(settings.SIGNER_DIR).exists()
    with pytest.raises(SignerUnsuitable, match="must be Ed25519"):
        key_rows.stage(Role.ISSUER, softhsm)


def test_a_role_moves_from_a_file_into_a_hardware_module(registry: Founded, softhsm: str) -> None:
    plan = ceremony.with_new_key(replace(ceremony.present_plan(), changed=frozenset()), Role.CATALOG_SNAPSHOT, softhsm)
    registry.signed(plan, registry.roots[:2], at=now())
    root = ceremony.latest_root("catalog")
    assert isinstance(root, Metadata)
    assert signer_for(Role.CATALOG_SNAPSHOT).public_key.scheme == "ecdsa-sha2-nistp256"
    assert root.signed.roles["snapshot"].keyids == [signer_for(Role.CATALOG_SNAPSHOT).public_key.keyid]
