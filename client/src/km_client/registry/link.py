"""The way to one customer's registry: the server, an access token, whose it is, and the time.

    with opened(Destination(url, key)) as link: …        raises `RegistryError`

The clock is compared with the newest time that the server ever signed for this machine (the lease's floor): with the
clock set back, what has expired would count again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from km_protocol.claims import CLOCK_SKEW_SECONDS

from km_client.agent.access import Access
from km_client.agent.api import Api, UnreachableError
from km_client.agent.delivery import Destination
from km_client.entitlement.lease_store import LeaseStore, place_of
from km_client.registry import place as places
from km_client.registry.errors import RegistryError
from km_client.registry.place import Place

_CHECK = "run `km-client doctor`"


class Link(NamedTuple):
    api: Api
    token: str
    place: Place


@contextmanager
def opened(destination: Destination, customer_id: str = "") -> Iterator[Link]:
    """Asks the server whose the key is, unless it is told, or was noted before."""
    _check_clock(destination)
    api = Api(destination.url, destination.key)
    try:
        token = _token(api)
        known = places.known(destination)
        if customer_id or known is None:
            known = places.remember(destination, customer_id or _customer_of(api, token))
        yield Link(api, token, known)
    except UnreachableError as error:
        raise RegistryError("registry_unreachable", str(error), "what is installed goes on; try again later") from None
    finally:
        api.close()


def _token(api: Api) -> str:
    found = Access(api).token()
    if isinstance(found, str):
        return found
    raise RegistryError("registry_refused", f"{api.url} gave no access: {found.reason}", _CHECK)


def _customer_of(api: Api, token: str) -> str:
    answer = api.subscription_status(token)
    customer_id = answer.field("customer_id")
    if answer.status != 200 or not isinstance(customer_id, str) or not customer_id:
        raise RegistryError("registry_refused", f"{api.url} did not say whose the key is ({answer.status})", _CHECK)
    return customer_id


def _check_clock(destination: Destination) -> None:
    behind = LeaseStore(place_of(destination)).load().floor - time.time()
    if behind > CLOCK_SKEW_SECONDS:
        message = f"this machine's clock is {behind:.0f} s behind what the server signed: nothing new is believed"
        raise RegistryError("clock_set_back", message, "set it; turn on automatic time")
