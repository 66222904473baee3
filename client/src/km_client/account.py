"""Who a key belongs to and what it may do, as the server says: asked by `init`, `status` and `doctor`.

    ask("https://kilometers.example.com", key) → Account(tier="Pro", status="active", …)

Every way in which that can fail is a `ClientError` of its own, because each has another next step.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from km_protocol.api_keys import ApiKey, display

from km_client.agent.api import Answer, Api, UnreachableError, token_in
from km_client.errors import ClientError


class Quota(NamedTuple):
    """Events a day: `limit` is `None` where there is none."""

    limit: int | None
    used: int


class Account(NamedTuple):
    """What the server said. `clock_ahead_seconds` is how far its clock is ahead of ours, if it told."""

    customer_id: str
    tier: str
    status: str
    quota: Quota | None
    clock_ahead_seconds: float | None


def ask(url: str, key: ApiKey) -> Account:
    """Exchange the key and ask for the subscription. Raises `ClientError`."""
    api = Api(url, key)
    try:
        exchanged = api.exchange()
        token = token_in(exchanged)
        if token is None:
            raise _refusal(exchanged, url, key)
        answer = api.subscription_status(token.jwt)
    except UnreachableError as error:
        raise ClientError(
            "unreachable", str(error), "see that the server runs and that `km-client config get api_url` is its address"
        ) from None
    finally:
        api.close()
    if answer.status != 200 or not isinstance(answer.field("tier"), str):
        raise _refusal(answer, url, key)
    return _account(answer, clock_ahead(exchanged.date, now=datetime.now(UTC)))


def clock_ahead(date: str | None, *, now: datetime) -> float | None:
    """Seconds by which the clock behind a `Date` header is ahead of `now`."""
    try:
        return (parsedate_to_datetime(date) - now).total_seconds() if date else None
    except (ValueError, TypeError):  # no date at all, or one without a time zone
        return None


def _account(answer: Answer, ahead: float | None) -> Account:
    said = answer.json()
    return Account(
        customer_id=str(said.get("customer_id", "")),
        tier=said["tier"],
        status=str(said.get("status", "")),
        quota=_quota(said.get("quotas")),
        clock_ahead_seconds=ahead,
    )


def _quota(quotas: Any) -> Quota | None:
    day = quotas.get("events_per_day") if isinstance(quotas, dict) else None
    if not isinstance(day, dict) or not isinstance(day.get("used"), int):
        return None
    return Quota(day.get("limit"), day["used"])


def _refusal(answer: Answer, url: str, key: ApiKey) -> ClientError:
    code, message, hint = answer.error()
    if answer.status in {401, 403}:
        return ClientError(
            code or "key_refused",
            f"{url} does not accept the API key starting `{display(key)}`: {message or 'no reason given'}",
            hint or "issue a new key in the dashboard, then run `km-client init`",
        )
    if answer.status == 429 or answer.status >= 500:
        when = f" after {answer.retry_after} seconds" if answer.retry_after else " in a moment"
        return ClientError(
            code or "unavailable", f"{url} cannot answer now: {message or answer.status}", f"try again{when}"
        )
    return ClientError(
        "not_kilometers",
        f"{url} answered {answer.status}, but not as a Kilometers server does",
        "see that `km-client config get api_url` is the address of the service, without a path of one page",
    )
