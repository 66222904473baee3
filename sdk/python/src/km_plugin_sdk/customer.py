"""For whom this plugin was built, from the data that lies beside it.

    customer()                      Customer(customer_id="cus_…", build_id="bld_…", issuer="3f9a0c41d2e81b77")
    customer().sign(b"challenge")   64 bytes: proof that this is that build, under a key the server can revoke

A customer's package holds `overlay/customer.json`, beside its manifest or where `KM_PLUGIN_OVERLAY` says.
A plugin in development has none, and `customer()` raises `NoCustomerError`. The host checks the package before it
starts; this is what the plugin itself can rely on, in addition.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from km_plugin_sdk.errors import PluginError

VARIABLE = "KM_PLUGIN_OVERLAY"
FILE_NAME = "customer.json"
_DIRECTORY = "overlay"
_MAX_BYTES = 4096


class CustomerError(PluginError):
    """The customer's data is damaged."""

    code = "customer_damaged"


class NoCustomerError(CustomerError):
    """The plugin was not built for a customer: it is in development."""

    code = "no_customer"


@dataclass(frozen=True, slots=True)
class Customer:
    """`issuer` is the id of the key that signed the package."""

    customer_id: str
    build_id: str
    issuer: str
    _seed: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature by this build's own key, whose public half the server knows."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        return Ed25519PrivateKey.from_private_bytes(self._seed).sign(message)


def customer(overlay: Path | None = None) -> Customer:
    """`overlay`: the directory, where it is not where it always is. Raises `CustomerError`; `NoCustomerError`."""
    from km_protocol.errors import SlotError  # noqa: PLC0415 - few plugins ask
    from km_protocol.kmpkg import keys, slot  # noqa: PLC0415

    path = (overlay or _overlay()) / FILE_NAME
    try:
        with path.open("rb") as file:
            found = slot.decode(file.read(_MAX_BYTES + 1))
    except FileNotFoundError:
        hint = "install it from the registry to have a build of your own"
        raise NoCustomerError(f"there is no `{path}`: not built for a customer", hint) from None
    except (OSError, SlotError) as error:
        raise CustomerError(f"`{path}`: {error}", "install the plugin again") from None
    return Customer(found.customer_id, found.build_id, found.issuer, keys.from_text(found.build_key))


def _overlay() -> Path:
    given = os.environ.get(VARIABLE)
    return Path(given) if given else _top(Path(sys.argv[0]).absolute().parent) / _DIRECTORY


def _top(directory: Path) -> Path:
    """The plugin's directory, which holds its manifest; its entry may lie deeper."""
    return next((each for each in (directory, *directory.parents) if (each / "manifest.json").is_file()), directory)
