"""What an account may use at a moment: pure, from what is held of it.

    entitled(lease, kept, at=1795362000, machine="9f2c61…") → Entitled(tier="Pro", features={…}, state=VALID, …)

What the Free tier has always holds. All else comes from a lease that allows it now; one that does not is as good as
none, except that `state` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from km_plugin_sdk.admission import FREE_FEATURES
from km_protocol.claims import Lease, LeaseState, LeaseVerdict, evaluate

from km_client.entitlement.lease_store import Kept

FREE_TIER = "Free"


class Entitled(NamedTuple):
    """What holds now. `lease` is the signed text, empty unless it allows something; `keys` the JWK Set that verifies
    it and the plugins' tokens. `state` is `None` if there has never been a lease.
    """

    customer_id: str
    tier: str
    status: str
    features: frozenset[str]
    plugins: Mapping[str, list[str]]
    lease: str
    keys: str
    state: LeaseState | None

    def for_plugin(self, name: str) -> frozenset[str]:
        """The features that the plugin `name` may be given: what the account has, less if the lease limits this one."""
        named = self.plugins.get(name)
        beyond = self.features if named is None else self.features & frozenset(named)
        return FREE_FEATURES | beyond


NO_ACCOUNT = Entitled("", FREE_TIER, "", FREE_FEATURES, {}, "", "", None)


def entitled(lease: Lease | None, kept: Kept, *, at: float, machine: str) -> Entitled:
    """What holds at Unix second `at`. `lease` is the verified form of `kept.lease`."""
    nobody = NO_ACCOUNT._replace(customer_id=kept.customer_id, keys=kept.keys)
    if lease is None:
        return nobody._replace(state=kept.ended)
    verdict = LeaseVerdict(kept.ended) if kept.ended else evaluate(lease, at=int(at), floor=kept.floor, machine=machine)
    if not verdict.allowed:
        return nobody._replace(status=lease.status, state=verdict.state)
    features = FREE_FEATURES | verdict.features
    return Entitled(lease.sub, lease.tier, lease.status, features, lease.plugins, kept.lease, kept.keys, verdict.state)
