"""How an account stands, in words for the person who runs `km-client status`, `plugins list` or `doctor`.

account_report(destination, holding, ["cannot reach https://…: connection refused"], at=now, refresh_in=12.5)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from km_protocol.api_keys import display
from km_protocol.claims import CLOCK_SKEW_SECONDS, LeaseState

from km_client.agent.delivery import Destination
from km_client.entitlement.entitled import Entitled
from km_client.entitlement.holding import Holding
from km_client.plugins.report import AccountReport

LATEST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def account_report(
    destination: Destination, holding: Holding, problems: Sequence[str], *, at: float, refresh_in: float
) -> AccountReport:
    """The report at Unix second `at`. `problems` are those of the last requests; what the lease adds is said too."""
    now, kept, lease = holding.now(), holding.kept, holding.lease
    return AccountReport(
        url=destination.url,
        key=display(destination.key),
        customer_id=now.customer_id,
        tier=now.tier,
        status=now.status,
        features=sorted(now.features),
        lease_state=now.state or "",
        refreshed_at=_moment(kept.fetched_at) if kept.fetched_at else None,
        next_refresh_at=_moment(at + refresh_in),
        offline_until=_moment(lease.grace_until) if lease and now.lease else None,
        problem="; ".join(_problems(holding, now, problems, at)),
    )


def _problems(holding: Holding, now: Entitled, problems: Sequence[str], at: float) -> Iterator[str]:
    kept, lease = holding.kept, holding.lease
    if kept.reason and kept.reason not in problems:  # what the server said before this agent began
        yield kept.reason
    yield from problems
    ahead = kept.fetched_at - lease.iat if lease else 0.0  # when it was given, both clocks were read
    if ahead > CLOCK_SKEW_SECONDS:
        yield f"this machine's clock is {ahead:.0f} s ahead of the server's: set it"
    if now.state in {LeaseState.CLOCK_SET_BACK, LeaseState.NOT_YET_VALID}:
        behind = f"this machine's clock is {kept.floor - at:.0f} s behind what the server signed"
        yield f"{behind}: set it, or, if it is right, delete {holding.store.path}"
    if holding.store.problem:
        yield f"the lease is good until the agent ends: {holding.store.problem}"


def _moment(unix_seconds: float) -> datetime:
    """As far as a `datetime` goes: a mistaken clock or claim must not keep the report from being written."""
    return datetime.fromtimestamp(min(max(unix_seconds, 0.0), LATEST_MOMENT), UTC)
