"""What a worker does in this room, safe to run twice and to be lost."""

from __future__ import annotations

from celery import shared_task

from core import shared_clock
from customers import revocation


@shared_task(name="customers.forget_expired_tokens", ignore_result=True)
def forget_expired_tokens() -> None:
    """Drop denials of tokens that are refused by their age alone."""
    revocation.forget_expired_tokens(at=shared_clock.now())


@shared_task(name="customers.forget_logins", ignore_result=True)
def forget_logins() -> None:
    """Drop logins of machines that ended a day ago."""
    from customers import device_codes  # noqa: PLC0415 - tokens come with it, which no worker needs before

    device_codes.forget(at=shared_clock.now())
