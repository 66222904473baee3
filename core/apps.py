"""Django's registration of this app."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from core import openapi  # noqa: F401,PLC0415 - importing it registers it
