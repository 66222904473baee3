"""AutoMTLS as go-plugin does it: each side makes a certificate for this one run and shows it to the other.

The host puts its certificate (PEM) into PLUGIN_CLIENT_CERT; the plugin answers with its own (DER, base64 without
padding) in the handshake line; each then trusts exactly the other's. The private key never touches a disk: OpenSSL
reads it from a pipe, which also works in a sandbox that allows no writing.
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from km_plugin_sdk.errors import ServeError

VALIDITY = timedelta(days=365 * 30)  # go-plugin's: the key dies with the process anyway
SERVER_NAME = "localhost"  # go-plugin's: what its client verifies the certificate against


@dataclass(frozen=True, slots=True)
class Identity:
    """A key and its self-signed certificate, both PEM."""

    key: bytes
    certificate: bytes

    @property
    def handshake_field(self) -> str:
        """The certificate as the handshake line carries it."""
        der = x509.load_pem_x509_certificate(self.certificate).public_bytes(serialization.Encoding.DER)
        return base64.b64encode(der).decode().rstrip("=")


def make_identity(*, now: datetime) -> Identity:
    """A new P-521 key and a certificate for it, valid as server and as client."""
    key = ec.generate_private_key(ec.SECP521R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Kilometers"),
        ]
    )
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(seconds=30))
        .not_valid_after(now + VALIDITY)
    )
    for extension, critical in _extensions():
        builder = builder.add_extension(extension, critical)
    private, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return Identity(
        key.private_bytes(serialization.Encoding.PEM, private, plain),
        builder.sign(key, hashes.SHA512()).public_bytes(serialization.Encoding.PEM),
    )


def _extensions() -> list[tuple[x509.ExtensionType, bool]]:
    usage = dict.fromkeys(
        ("content_commitment", "data_encipherment", "crl_sign", "encipher_only", "decipher_only"), False
    ) | dict.fromkeys(("digital_signature", "key_encipherment", "key_agreement", "key_cert_sign"), True)
    return [
        (x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), False),
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.KeyUsage(**usage), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
    ]


def server_context(client_certificate: str) -> tuple[ssl.SSLContext, Identity]:
    """A TLS server that lets in only who holds the key of `client_certificate` (PEM), and what it shows of itself."""
    identity = make_identity(now=datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cadata=client_certificate)
    except ssl.SSLError as error:
        raise ServeError(f"PLUGIN_CLIENT_CERT is not a certificate: {error}") from None
    load(context, identity)
    return context, identity


def client_context(handshake_field: str, identity: Identity) -> ssl.SSLContext:
    """A TLS client that trusts exactly the certificate in a plugin's handshake line."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    padding = "=" * (-len(handshake_field) % 4)
    context.load_verify_locations(cadata=base64.b64decode(handshake_field + padding))
    load(context, identity)
    return context


def load(context: ssl.SSLContext, identity: Identity) -> None:
    context.set_alpn_protocols(["h2"])
    with ExitStack() as stack:
        paths = [stack.enter_context(_readable(pem)) for pem in (identity.certificate, identity.key)]
        context.load_cert_chain(*paths)


@contextmanager
def _readable(pem: bytes) -> Iterator[str]:
    """A path that reads as `pem` once; well below a pipe's capacity, so writing it first does not block."""
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, pem)
        os.close(write_end)
        yield f"/dev/fd/{read_end}"
    finally:
        os.close(read_end)
