"""What a lease allows at a moment, as a table; and that no clock revives one."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from km_protocol import claims
from km_protocol.claims import (
    CLOCK_SKEW_SECONDS,
    GRACE_SECONDS,
    LEASE_SECONDS,
    REFRESH_SECONDS,
    CustomerClaims,
    Lease,
    LeaseState,
    PluginClaims,
    plugin_audience,
)

BORN = 1_800_000_000
FEATURES = ["api_logging", "console_logging"]


def a_lease(**columns: object) -> Lease:
    facts = {
        "sub": "cus_1",
        "iat": BORN,
        "refresh_after": BORN + REFRESH_SECONDS,
        "exp": BORN + LEASE_SECONDS,
        "grace_until": BORN + GRACE_SECONDS,
        "status": "active",
        "tier": "Pro",
        "features": FEATURES,
        "plugins": {"api-logger": ["api_logging"]},
        "quotas": {"events_per_day": 100_000},
        "machine": "m1",
        "seq": 7,
    }
    return msgspec.convert(facts | columns, Lease)


TABLE = [
    ("just issued", {}, 0, 0, "m1", LeaseState.VALID),
    ("a second before refresh", {}, REFRESH_SECONDS - 1, 0, "m1", LeaseState.VALID),
    ("at refresh", {}, REFRESH_SECONDS, 0, "m1", LeaseState.REFRESH_DUE),
    ("a second before its end", {}, LEASE_SECONDS - 1, 0, "m1", LeaseState.REFRESH_DUE),
    ("at its end", {}, LEASE_SECONDS, 0, "m1", LeaseState.GRACE),
    ("a second before grace ends", {}, GRACE_SECONDS - 1, 0, "m1", LeaseState.GRACE),
    ("at the end of grace", {}, GRACE_SECONDS, 0, "m1", LeaseState.EXPIRED),
    ("years later", {}, 10**9, 0, "m1", LeaseState.EXPIRED),
    ("on another machine", {}, 1, 0, "m2", LeaseState.WRONG_MACHINE),
    ("for any machine", {"machine": ""}, 1, 0, "m2", LeaseState.VALID),
    ("a slow clock within the skew", {}, -CLOCK_SKEW_SECONDS, 0, "m1", LeaseState.VALID),
    ("a slow clock beyond the skew", {}, -CLOCK_SKEW_SECONDS - 1, -10_000, "m1", LeaseState.NOT_YET_VALID),
    ("a clock set back below what was seen", {}, 10, 10_000, "m1", LeaseState.CLOCK_SET_BACK),
    ("a clock set back by less than the skew", {}, 10, 10 + CLOCK_SKEW_SECONDS, "m1", LeaseState.VALID),
    ("trialing", {"status": "trialing"}, 1, 0, "m1", LeaseState.VALID),
    ("past due", {"status": "past_due"}, 1, 0, "m1", LeaseState.VALID),
    ("unpaid", {"status": "unpaid"}, 1, 0, "m1", LeaseState.SUSPENDED),
    ("paused", {"status": "paused"}, 1, 0, "m1", LeaseState.SUSPENDED),
    ("canceled", {"status": "canceled"}, 1, 0, "m1", LeaseState.REVOKED),
    ("canceled, long ago", {"status": "canceled"}, 10**9, 0, "m1", LeaseState.REVOKED),
]
ALLOWED = {LeaseState.VALID, LeaseState.REFRESH_DUE, LeaseState.GRACE}


CASES = [pytest.param(*row[1:], id=str(row[0])) for row in TABLE]


@pytest.mark.parametrize(("columns", "after", "floor", "machine", "state"), CASES)
def test_the_table_of_leases(
    columns: dict[str, object], after: int, floor: int, machine: str, state: LeaseState
) -> None:
    verdict = claims.evaluate(a_lease(**columns), at=BORN + after, floor=BORN + floor, machine=machine)
    assert verdict.state is state
    assert verdict.allowed == (state in ALLOWED)
    assert verdict.features == (frozenset(FEATURES) if state in ALLOWED else frozenset())


@given(st.integers(-(10**10), 10**10), st.integers(0, 10**10))
def test_no_clock_however_wrong_revives_a_lease_that_was_seen_to_end(at: int, seen: int) -> None:
    floor = BORN + GRACE_SECONDS + CLOCK_SKEW_SECONDS + seen
    assert not claims.evaluate(a_lease(), at=at, floor=floor, machine="m1").allowed


COMMON = {
    "sub": "cus_1", "customer_id": "cus_1", "tier": "Pro", "features": [], "iat": 1, "exp": 2, "jti": "t",
    "iss": "kilometers", "ver": 1, "client_id": "key_1",
}  # fmt: skip
CUSTOMERS = COMMON | {"aud": "km:api"}
PLUGINS = COMMON | {"aud": "km:plugin:api-logger", "plugin_version": "1.0.0"}


@pytest.mark.parametrize(("good", "kind"), [(CUSTOMERS, CustomerClaims), (PLUGINS, PluginClaims)])
def test_a_token_with_an_unknown_claim_or_without_a_known_one_is_none(
    good: dict[str, object], kind: type[msgspec.Struct]
) -> None:
    assert msgspec.to_builtins(msgspec.convert(good, kind)) == good
    wrong = [good | {"user_id": "cus_1"}, good | {"aud": "km:lease"}, good | {"iss": "other"}, good | {"ver": -1}]
    wrong += [{name: value for name, value in good.items() if name != missing} for missing in good]
    for claims_of in wrong:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(claims_of, kind)


def test_a_customers_token_is_no_plugins_and_a_plugins_is_no_customers() -> None:
    for claims_of, other in ((CUSTOMERS, PluginClaims), (PLUGINS, CustomerClaims)):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(claims_of, other)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(claims_of | {"plugin_version": "1.0.0"}, other)


@pytest.mark.parametrize("name", ["a", "api-logger", "x2-y3-z4", "a" * 64])
def test_the_audience_names_the_plugin(name: str) -> None:
    assert msgspec.convert(PLUGINS | {"aud": plugin_audience(name)}, PluginClaims).plugin == name


@pytest.mark.parametrize(
    "name", ["", "A", "api_logger", "-a", "a-", "a--b", "1a", "a\n", "a b", "a:b", "a/../b", "ä", "a" * 65]
)
def test_an_audience_with_a_name_no_plugin_may_have_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.aud"):
        msgspec.convert(PLUGINS | {"aud": plugin_audience(name)}, PluginClaims)


@pytest.mark.parametrize("version", ["", "1" * 101, 1])
def test_a_plugins_version_is_short_text(version: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.plugin_version"):
        msgspec.convert(PLUGINS | {"plugin_version": version}, PluginClaims)
