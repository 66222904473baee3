"""Django's registration of this app."""

from django.apps import AppConfig


class PluginsRegistryConfig(AppConfig):
    name = "plugins_registry"
    default_auto_field = "django.db.models.BigAutoField"
