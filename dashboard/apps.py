"""Django's registration of this app."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from dashboard import identity_log  # noqa: PLC0415 - allauth's models need the app registry

        identity_log.connect()
