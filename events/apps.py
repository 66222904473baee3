"""Django's registration of this app."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from customers import usage  # noqa: PLC0415 - these need the app registry
        from events import checks, metrics, quotas  # noqa: F401,PLC0415 - `checks` registers itself

        usage.register(quotas.used)
        metrics.register()
