"""Django's registration of this app."""

from django.apps import AppConfig
from django.conf import settings


class KmcloudConfig(AppConfig):
    name = "kmcloud"
    verbose_name = "Service"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from kmcloud import checks  # noqa: F401,PLC0415 - it registers itself

        if settings.CELERY_BROKER_URL.startswith(("redis:", "rediss:", "unix:")):
            from kmcloud import queue_metrics  # noqa: PLC0415 - an embedded service loads no Redis client

            queue_metrics.register(settings.CELERY_BROKER_URL)
