"""What a worker does for the export. Safe to run twice, and to be lost: the next run does its work."""

from __future__ import annotations

from celery import shared_task

from core.clock import now


@shared_task(name="otlp.export", ignore_result=True)
def export_telemetry() -> None:
    """It is time."""
    from events.otlp import export  # noqa: PLC0415 - protobuf, for the one process that needs it

    export.export(clock=now)
