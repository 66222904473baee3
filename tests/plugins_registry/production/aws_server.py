"""moto's server of AWS's services, whose KMS signs digests too. Run as a program: `aws_server.py -H 127.0.0.1 -p 0`.

moto hashes whatever it is to sign. AWS says of `MessageType=DIGEST` that the message is the digest, which is not hashed
again, and every client that keeps what it signs to itself depends on that: securesystemslib's is one.
"""

from __future__ import annotations

import sys
import threading

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto import server
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey

HASHES = {"ECDSA_SHA_256": hashes.SHA256(), "ECDSA_SHA_384": hashes.SHA384(), "ECDSA_SHA_512": hashes.SHA512()}
_request = threading.local()
_answer = KmsResponse.sign


def answer(self: KmsResponse) -> str:
    _request.is_digest = self._get_param("MessageType") == "DIGEST"
    return str(_answer(self))


def sign(self: ECDSAPrivateKey, message: bytes, signing_algorithm: str) -> bytes:
    algorithm = HASHES[signing_algorithm]
    hashed = Prehashed(algorithm) if _request.is_digest else algorithm
    signature: bytes = self.private_key.sign(message, ec.ECDSA(hashed))
    return signature


if __name__ == "__main__":
    KmsResponse.sign = answer  # type: ignore[method-assign]
    ECDSAPrivateKey.sign = sign  # type: ignore[method-assign]
    server.main(sys.argv[1:])
