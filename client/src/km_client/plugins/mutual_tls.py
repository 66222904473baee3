"""AutoMTLS: both ends show a certificate that only the other end was told about (go-plugin, `mtls.go`).

Not needed on a unix socket in our own 0700 directory; there for plugins that insist. A new key for every start, which
never touches the disk longer than it takes OpenSSL to read it.
"""

from __future__ import annotations

import datetime
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from km_client.plugins.connection import SERVER_NAME

_VALID = datetime.timedelta(days=1000)  # a plugin may run that long; the key dies with the process
_BACKDATED = datetime.timedelta(seconds=30)  # go-plugin does the same, for clocks set back a little


class Identity:
    """Our key and certificate for one start of one plugin. `pem` goes into PLUGIN_CLIENT_CERT."""

    def __init__(self, now: datetime.datetime) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SERVER_NAME)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + _VALID)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, server_certificate: bytes) -> ssl.SSLContext:
        """Trusts exactly the certificate (DER) of the handshake line."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=server_certificate)
        context.set_alpn_protocols(["h2"])
        private = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.NamedTemporaryFile() as file:  # mode 0600; OpenSSL takes a path only
            file.write(private + self.pem)
            file.flush()
            context.load_cert_chain(file.name)
        return context
