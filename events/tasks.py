"""What a worker does in this room. Every task is safe to run twice, and to be lost: the next run does its work."""

from __future__ import annotations

from celery import shared_task

from core import shared_clock
from events import retention, stores, sweeper, wakeup


@shared_task(name=wakeup.DRAIN, ignore_result=True)
def drain_inbox() -> None:
    """Somebody put something into the inbox."""
    sweeper.sweep(clock=shared_clock.now)


@shared_task(name="events.expire", ignore_result=True)
def expire_events() -> None:
    """Make room for the days to come, then delete what customers no longer keep."""
    stores.current().prepare(now=shared_clock.now())
    retention.expire(now=shared_clock.agreed())
