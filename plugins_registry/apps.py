"""Django's registration of this app."""

from django.apps import AppConfig


class PluginsRegistryConfig(AppConfig):
    name = "plugins_registry"
    verbose_name = "Plugin registry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from customers import entitlement_hooks, what_if  # noqa: PLC0415 - these need the app registry
        from plugins_registry import metrics, notices, publishing_hooks, review  # noqa: PLC0415
        from plugins_registry.building import requests  # noqa: PLC0415
        from plugins_registry.building import tasks as _builds  # noqa: F401,PLC0415 - registers itself
        from plugins_registry.repositories import dirty, tasks  # noqa: F401,PLC0415 - the second registers itself
        from plugins_registry.what_if import effects  # noqa: PLC0415

        metrics.register()
        what_if.register(effects)
        entitlement_hooks.on_change(dirty.mark_dirty)
        publishing_hooks.on_state_change(notices.follow)
        publishing_hooks.on_state_change(review.assess)
        publishing_hooks.on_state_change(requests.follow)
        publishing_hooks.on_state_change(dirty.follow_revision)
        publishing_hooks.on_block(dirty.follow_block)
