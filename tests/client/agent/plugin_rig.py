"""A plugin room with one account in memory, and the rounds that the agent makes: for tests of real plugins in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from km_client import config as configs
from km_client import paths
from km_client.agent.accounts import Accounts
from km_client.agent.delivery import Destination
from km_client.agent.plugin_room import PluginRoom
from km_client.capture.spool import Session
from km_client.entitlement.account import Account
from km_client.entitlement.entitled import NO_ACCOUNT, Entitled
from km_client.entitlement.plugin_tokens import PluginIdentity
from km_client.plugins import report
from km_client.plugins.report import AccountReport, PluginReport
from km_plugin_sdk.testing import TokenIssuer
from km_protocol.api_keys import ApiKey
from km_protocol.claims import LeaseState
from km_protocol.envelope import Event

from tests.end_to_end.waiting import eventually

KEY = Destination("http://127.0.0.1:1", ApiKey("km_live_" + "0" * 36))
PLUGIN = '''"""Prints what it is told, and every event."""

from km_plugin_sdk import Plugin, PluginConfig, StreamEvent, serve


class Told(Plugin):
    def initialize(self, config: PluginConfig) -> None:
        print("told", sorted(config.features), config.tier, config.custom_settings, flush=True)

    def update_config(self, config: PluginConfig) -> None:
        self.initialize(config)

    def handle_stream_event(self, event: StreamEvent) -> None:
        print("event", event.sequence, flush=True)


if __name__ == "__main__":
    serve(Told())
'''


class MemoryAccount(Account):
    """What an account says, signed, without a server: `becomes` is its refresh."""

    issuer = TokenIssuer()

    def __init__(self) -> None:
        self.entitled, self.problem, self.wanted, self._generation = NO_ACCOUNT, "", list[PluginIdentity](), 0

    @property
    def generation(self) -> int:
        return self._generation

    def becomes(self, tier: str, *features: str) -> None:
        all_features = NO_ACCOUNT.features | set(features)
        lease = self.issuer.lease(customer_id="cus_1", at=time.time(), features=sorted(all_features), tier=tier)
        self.entitled = Entitled("cus_1", tier, "active", all_features, {}, lease, self.issuer.jwks, LeaseState.VALID)
        self.problem = "the server was asked"
        self._generation += 1

    def now(self) -> Entitled:
        return self.entitled

    def want(self, identities: Collection[PluginIdentity]) -> None:
        self.wanted = list(identities)

    def token(self, name: str) -> str:  # noqa: ARG002
        return ""

    def report(self) -> AccountReport:
        return AccountReport(KEY.url, "km_live_0000", tier=self.entitled.tier, problem=self.problem)

    def stop(self, timeout: float) -> None:  # noqa: ARG002
        self.wanted = []


class OneAccount(Accounts):
    def __init__(self, account: MemoryAccount, destination: Destination) -> None:
        super().__init__(lambda: None)
        self._accounts[destination] = account


class Rig:
    """A room, its one account, and the settings as they stand."""

    def __init__(self, destination: Destination = KEY) -> None:
        self.account = MemoryAccount()
        self.room = PluginRoom(OneAccount(self.account, destination))
        self.config = configs.load(environment={})

    def until(self, what: str, claim: Callable[[PluginReport], bool], key: str = "told") -> PluginReport:
        """Rounds, as the agent makes them, until `claim` holds."""
        seen: list[PluginReport | None] = [None]

        def after_a_round() -> PluginReport | None:
            self.room.round(self.config)
            seen[0] = row = self.reports().get(key)
            return row if row and claim(row) else None

        try:
            return eventually(after_a_round, what=what)
        except AssertionError as error:
            error.add_note(f"{key} is {seen[0]}")
            raise

    def reports(self) -> dict[str, PluginReport]:
        assert self.room.tell(datetime.now(UTC))
        told = report.read(paths.agent_dir() / report.FILE_NAME)
        return {row.key: row for row in told.plugins} if told else {}


def session(*plugins: Path, local_only: bool = False) -> Session:
    return Session("s", "git", ("git",), "/", 1, 0, "1.0.0", local_only, None, None, tuple(map(str, plugins)))


def events(*numbers: int) -> list[Event]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Event(
            id=str(number),
            timestamp=moment,
            type="request",
            direction="request",
            message=msgspec.Raw(b"{}"),
            sequence=number,
        )
        for number in numbers
    ]
