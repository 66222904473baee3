"""Keys in a hardware module: securesystemslib's signer, and nothing of the module's library left behind.

A module's library may use the very OpenSSL that Python's `ssl` uses (SoftHSM's does), and leave errors in its queue
of this thread. `ssl` takes what it finds there for its own: after SoftHSM was opened, loading a certificate of
somebody else's fails with `[ENGINE: NO_SUCH_ENGINE]`. So the queue is emptied whenever the module was used.
"""

from __future__ import annotations

import _ssl
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    HSMSigner,
    SecretsHandler,
    Signature,
    SSlibKey,
)


class HardwareSigner(HSMSigner):
    """`hsm:2?label=registry`: an EC key that never leaves its module."""

    @classmethod
    def import_(
        cls,
        hsm_keyid: int | None = None,
        token_label: str | None = None,
        secrets_handler: SecretsHandler | None = None,
    ) -> tuple[str, SSlibKey]:
        """As securesystemslib's."""
        with no_errors_left():
            return super().import_(hsm_keyid, token_label, secrets_handler)

    def sign(self, payload: bytes) -> Signature:
        """As securesystemslib's."""
        with no_errors_left():
            return super().sign(payload)


SIGNER_FOR_URI_SCHEME[HSMSigner.SCHEME] = HardwareSigner


@contextmanager
def no_errors_left() -> Iterator[None]:
    """Empty the error queue that `ssl` reads in this thread, however the block ends."""
    try:
        yield
    finally:
        clear = _clear_errors()
        if clear is not None:
            clear()


@cache
def _clear_errors() -> Callable[[], object] | None:
    """OpenSSL's `ERR_clear_error`, of the library that `ssl` is linked with.

    None where that is not visible: then it is linked into `ssl` alone, and no module's library can share it.
    """
    library = ctypes.CDLL(getattr(_ssl, "__file__", None))
    return getattr(library, "ERR_clear_error", None)
