"""Django's registration of this app."""

from django.apps import AppConfig


class KmcloudConfig(AppConfig):
    name = "kmcloud"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from kmcloud import checks, queue_metrics  # noqa: F401,PLC0415 - `checks` registers itself

        queue_metrics.register()
