"""Settings of this room that cannot work, refused at start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from km_protocol.claims import LEEWAY_SECONDS

MIN_SECRET_BYTES = 32  # as long as the HMAC's own output
LONGEST_TOKEN_SECONDS = 24 * 3600  # plugins verify tokens without asking us: longer, and a downgrade takes too long
LONGEST_REFRESH_SECONDS = 3600  # longer, and a laptop goes on with what its customer gave up an hour ago


@register(Tags.security)
def secrets_are_long(**_: Any) -> list[CheckMessage]:
    """The pepper and the passphrase are all that stands between a stolen database and its keys."""
    short = [
        (name, number)
        for name, number in (("API_KEY_PEPPER", 1), ("SIGNING_KEY_PASSPHRASE", 2))
        if len(getattr(settings, name)) < MIN_SECRET_BYTES
    ]
    return [
        Error(
            f"KM_{name} is shorter than {MIN_SECRET_BYTES} bytes.",
            hint="Make one with `python -c 'import secrets; print(secrets.token_urlsafe(48))'`.",
            id=f"customers.E00{number}",
        )
        for name, number in short
    ]


@register(Tags.security)
def tokens_live_reasonably(**_: Any) -> list[CheckMessage]:
    """A token must outlive the clocks' leeway and not outlive a day."""
    if LEEWAY_SECONDS < settings.TOKEN_SECONDS <= LONGEST_TOKEN_SECONDS:
        return []
    return [
        Error(
            f"KM_TOKEN_SECONDS is {settings.TOKEN_SECONDS}; it must be more than {LEEWAY_SECONDS}"
            f" and at most {LONGEST_TOKEN_SECONDS}.",
            hint="Leave it out for an hour.",
            id="customers.E003",
        )
    ]


@register(Tags.security)
def leases_are_refreshed_in_time(**_: Any) -> list[CheckMessage]:
    """What a laptop does between two refreshes is what it did before an upgrade or a downgrade."""
    if 1 <= settings.LEASE_REFRESH_SECONDS <= LONGEST_REFRESH_SECONDS:
        return []
    return [
        Error(
            f"KM_LEASE_REFRESH_SECONDS is {settings.LEASE_REFRESH_SECONDS}; it must be from 1"
            f" to {LONGEST_REFRESH_SECONDS}.",
            hint="Leave it out for five minutes.",
            id="customers.E004",
        )
    ]
