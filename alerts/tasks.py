"""What a worker does in this room, each safe to run twice, at once, and to be lost: the next round does its work."""

from __future__ import annotations

from celery import shared_task

from core import shared_clock


@shared_task(name="alerts.evaluate", ignore_result=True)
def evaluate() -> None:
    """Look at the rules that are due."""
    from alerts import evaluator  # noqa: PLC0415 - for the one role that does it

    evaluator.evaluate(clock=shared_clock.now)


@shared_task(name="alerts.deliver", ignore_result=True)
def deliver() -> None:
    """Send what waits."""
    from alerts import sending  # noqa: PLC0415 - as above

    sending.send_due(clock=shared_clock.now)


@shared_task(name="alerts.forget", ignore_result=True)
def forget() -> None:
    """Delete what is old, and seal what is under an older key."""
    from alerts import forgetting, webhook_secrets  # noqa: PLC0415 - as above

    forgetting.forget(now=shared_clock.agreed())
    webhook_secrets.reseal()
