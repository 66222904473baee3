"""Django's registration of this app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CustomersConfig(AppConfig):
    name = "customers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from customers import checks, tiers  # noqa: F401,PLC0415 - they need the app registry, and register themselves

        post_migrate.connect(tiers.after_migrate, sender=self, dispatch_uid="customers.tiers")
