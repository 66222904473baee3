"""Which registry the commands speak to: the one server and key that `init` kept, or those of the environment."""

from __future__ import annotations

from km_client import config, credentials
from km_client.agent.delivery import Destination
from km_client.errors import ClientError
from km_client.registry import place as places
from km_client.registry.place import Place


def destination() -> Destination:
    """Raises `ClientError` without a key."""
    found = credentials.load()
    if found is None:
        raise ClientError("no_api_key", "no API key is set", "run `km-client init`, or set KM_API_KEY")
    return Destination(config.load().api_url.rstrip("/"), found.api_key)


def place() -> Place | None:
    """The customer's part of this machine; `None` where no registry was ever used."""
    try:
        found = places.known(destination())
    except ClientError:
        return None
    return found if found and found.is_set_up() else None
