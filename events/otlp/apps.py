"""Django's registration of the export, and its wiring where an endpoint is set."""

from __future__ import annotations

import celery
from django.apps import AppConfig
from django.conf import settings

EVERY_SECONDS = 15.0
QUEUE = "maintenance"


class OtlpConfig(AppConfig):
    name = "events.otlp"
    label = "otlp"
    verbose_name = "OpenTelemetry export"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from events import stored_hooks  # noqa: PLC0415 - these need the app registry
        from events.otlp import checks, metrics, outbox  # noqa: F401,PLC0415 - `checks` registers itself

        metrics.register()
        if settings.OTLP_ENDPOINT:
            stored_hooks.on_stored(outbox.keep)
            celery.current_app.conf.beat_schedule["export-telemetry"] = {
                "task": "otlp.export",
                "schedule": EVERY_SECONDS,
                "options": {"queue": QUEUE, "expires": EVERY_SECONDS},
            }
