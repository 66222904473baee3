"""What the sessions' accounts may do: one lease and its tokens for each server and key, kept fresh while in use.

`km_client.entitlement`, with TLS and Ed25519, is loaded when the first session has an account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from km_client.agent.delivery import Destination

if TYPE_CHECKING:
    from km_client.agent.plugin_seat import Seat
    from km_client.entitlement.account import Account
    from km_client.entitlement.plugin_tokens import PluginIdentity
    from km_client.plugins.discovery import PluginSpec
    from km_client.plugins.report import AccountReport

STOP_SECONDS = 2.0  # for the requests under way: what they would bring is asked for again


class Accounts:
    """Accounts by destination. `wake` is called, on an account's own thread, whenever something changed."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._accounts: dict[Destination, Account] = {}

    def of(self, destination: Destination) -> Account:
        """The account, refreshed from now on."""
        if destination not in self._accounts:
            from km_client.agent.machine_report import describe  # noqa: PLC0415
            from km_client.entitlement.account import Account  # noqa: PLC0415 - see the module's promise
            from km_client.entitlement.lease_store import place_of  # noqa: PLC0415

            account = Account(
                destination, place_of(destination), wake=self._wake, describe=partial(describe, destination)
            )
            account.start()
            self._accounts[destination] = account
        return self._accounts[destination]

    def generation(self) -> tuple[int, ...]:
        """Another one after every change of any account."""
        return tuple(account.generation for account in self._accounts.values())

    def want(self, seats: Collection[Seat]) -> None:
        """Keep a token for each plugin that a session feeds, and no others."""
        for account in self._accounts.values():
            specs = [seat.spec for seat in seats if seat.account is account and seat.spec and seat.runs]
            account.want([_identity(spec) for spec in specs])

    def keep_only(self, needed: Collection[Destination]) -> None:
        """Stop those no session needs."""
        unneeded = [self._accounts.pop(to) for to in list(self._accounts) if to not in needed]
        deadline = time.monotonic() + STOP_SECONDS
        for account in unneeded:
            account.stop(max(0.0, deadline - time.monotonic()))

    def reports(self) -> list[AccountReport]:
        return [account.report() for account in self._accounts.values()]


def _identity(spec: PluginSpec) -> PluginIdentity:
    from km_client.entitlement.plugin_tokens import PluginIdentity  # noqa: PLC0415 - see the module's promise

    return PluginIdentity(spec.name, str(spec.manifest.version), "")
