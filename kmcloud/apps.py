"""Django's registration of this app."""

from django.apps import AppConfig


class KmcloudConfig(AppConfig):
    name = "kmcloud"
    default_auto_field = "django.db.models.BigAutoField"
