"""What a worker does in this room. Safe to run twice, and to be lost."""

from __future__ import annotations

from celery import shared_task

from core import shared_clock


@shared_task(name="kmcloud.note_health", ignore_result=True)
def note_health() -> None:
    """Write down what became of the service since the last time."""
    from kmcloud import health, health_history  # noqa: PLC0415 - they stand on every app's rows

    at = shared_clock.now()
    health_history.note(health.health().checks, at=at)
    health_history.forget(before=at - health_history.KEPT)
