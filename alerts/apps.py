"""Django's registration of this app."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from alerts import checks, metrics  # noqa: F401,PLC0415 - these need the app registry; `checks` registers itself

        metrics.register()
