"""What a lease comes to: the free features always, all else only while it allows them here and now."""

from __future__ import annotations

import msgspec
import pytest
from km_client.entitlement.entitled import NO_ACCOUNT, Entitled, entitled
from km_client.entitlement.lease_store import Kept
from km_plugin_sdk.admission import FREE_FEATURES
from km_protocol.claims import GRACE_SECONDS, LEASE_SECONDS, Lease, LeaseState

BORN = 1_800_000_000
KEPT = Kept(lease="signed", keys="{}", customer_id="cus_1", seq=7, floor=BORN)


def a_lease(**columns: object) -> Lease:
    facts = {
        "sub": "cus_1",
        "iat": BORN,
        "refresh_after": BORN + 300,
        "exp": BORN + LEASE_SECONDS,
        "grace_until": BORN + GRACE_SECONDS,
        "status": "active",
        "tier": "Pro",
        "features": ["api_logging"],
        "plugins": {},
        "quotas": {},
        "machine": "m1",
        "seq": 7,
    }
    return msgspec.convert(facts | columns, Lease)


def at(seconds: float, lease: Lease | None = None, kept: Kept = KEPT, machine: str = "m1") -> Entitled:
    return entitled(lease or a_lease(), kept, at=BORN + seconds, machine=machine)


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (0, LeaseState.VALID),
        (-300, LeaseState.VALID),
        (300, LeaseState.REFRESH_DUE),
        (LEASE_SECONDS, LeaseState.GRACE),
        (GRACE_SECONDS - 1, LeaseState.GRACE),
    ],
)
def test_a_lease_that_allows_gives_its_features_and_the_free_ones(seconds: float, state: LeaseState) -> None:
    found = at(seconds)
    assert found == Entitled(
        "cus_1", "Pro", "active", FREE_FEATURES | {"api_logging"}, {}, "signed", "{}", state
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "lease", "kept", "machine", "state"),
    [
        (GRACE_SECONDS, a_lease(), KEPT, "m1", LeaseState.EXPIRED),
        (-301, a_lease(), KEPT, "m1", LeaseState.CLOCK_SET_BACK),
        (100, a_lease(), msgspec.structs.replace(KEPT, floor=BORN + 500), "m1", LeaseState.CLOCK_SET_BACK),
        (0, a_lease(), KEPT, "m2", LeaseState.WRONG_MACHINE),
        (0, a_lease(status="unpaid"), KEPT, "m1", LeaseState.SUSPENDED),
        (0, a_lease(status="canceled"), KEPT, "m1", LeaseState.REVOKED),
        (0, a_lease(), msgspec.structs.replace(KEPT, ended=LeaseState.REVOKED), "m1", LeaseState.REVOKED),
    ],
)
def test_one_that_does_not_is_as_good_as_none_and_says_why(
    seconds: float, lease: Lease, kept: Kept, machine: str, state: LeaseState
) -> None:
    found = at(seconds, lease, kept, machine)
    assert (found.tier, found.features, found.lease, found.state) == ("Free", FREE_FEATURES, "", state)
    assert (found.customer_id, found.keys) == ("cus_1", "{}")


def test_without_an_account_only_what_is_free_holds() -> None:
    assert NO_ACCOUNT.for_plugin("any") == FREE_FEATURES == frozenset({"console_logging"})
    assert (NO_ACCOUNT.tier, NO_ACCOUNT.customer_id, NO_ACCOUNT.state) == ("Free", "", None)


def test_a_plugin_the_lease_names_gets_no_more_than_it_says_there() -> None:
    found = at(0, a_lease(features=["api_logging", "risk_analysis"], plugins={"small": ["api_logging"], "none": []}))
    assert found.for_plugin("small") == FREE_FEATURES | {"api_logging"}
    assert found.for_plugin("none") == FREE_FEATURES
    assert found.for_plugin("other") == FREE_FEATURES | {"api_logging", "risk_analysis"}


def test_a_lease_cannot_name_more_for_a_plugin_than_the_account_has() -> None:
    found = at(0, a_lease(plugins={"greedy": ["advanced_analytics"]}))
    assert found.for_plugin("greedy") == FREE_FEATURES
