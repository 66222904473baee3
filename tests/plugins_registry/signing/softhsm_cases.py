"""What a hardware module can do, tried with SoftHSM. `test_hardware` runs this file in a process of its own.

A module reads its configuration once a process, and stays in that process with whatever it brought along.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import LazySettings
from km_plugin_sdk.mutual_tls import client_context, load, make_identity
from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.metadata import Metadata

from core.clock import now
from plugins_registry.models import SigningRole
from plugins_registry.repositories import ceremony
from plugins_registry.signing import key_rows
from plugins_registry.signing.errors import SignerUnsuitable
from plugins_registry.signing.roles import Role
from plugins_registry.signing.signers import signer_for
from tests.plugins_registry.repositories.world import Founded

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")]


@pytest.fixture
def softhsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> str:
    """The URI of an EC key in a token of SoftHSM."""
    module = next((each for each in MODULES if each.exists()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed: `scripts/test/run` installs softhsm2")
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


def test_what_the_module_leaves_behind_is_nothing_that_tls_trips_over(
    db: None, softhsm: str, settings: LazySettings
) -> None:
    """A worker that has signed by a module speaks TLS next: to its storage, to a key service, to its broker."""
    settings.SIGNER_URIS = {"director-targets": softhsm}
    signer = signer_for(Role.DIRECTOR_TARGETS)  # the module is opened for its public key
    first = shaken_hands()
    signer.sign(b"what is signed")
    assert (first, shaken_hands()) == ("TLSv1.3", "TLSv1.3")


def shaken_hands() -> str | None:
    """The version that a client and a server agree on, who trusts the server's certificate alone."""
    server, client = make_identity(now=now()), make_identity(now=now())
    asking = client_context(server.handshake_field, client)  # first: the server's own context would tidy up
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(accepting, server)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        asking.wrap_bio(back, there, server_hostname="localhost"),
        accepting.wrap_bio(there, back, server_side=True),
    ]
    waiting = list(ends)
    while waiting:
        waiting = [end for end in waiting if not is_through(end)]
    return ends[0].version()


def is_through(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
