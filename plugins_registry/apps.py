"""Django's registration of this app."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig

if TYPE_CHECKING:
    from customers.what_if import Effect


class PluginsRegistryConfig(AppConfig):
    name = "plugins_registry"
    verbose_name = "Plugin registry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from customers import entitlement_hooks, what_if  # noqa: PLC0415 - these need the app registry
        from plugins_registry import metrics, notices, publishing_hooks, review  # noqa: PLC0415
        from plugins_registry.building import requests  # noqa: PLC0415
        from plugins_registry.repositories import dirty  # noqa: PLC0415

        metrics.register()
        what_if.register(_effects)
        entitlement_hooks.on_change(dirty.mark_dirty)
        publishing_hooks.on_state_change(notices.follow)
        publishing_hooks.on_state_change(review.assess)
        publishing_hooks.on_state_change(requests.follow)
        publishing_hooks.on_state_change(dirty.follow_revision)
        publishing_hooks.on_block(dirty.follow_block)


def _effects(*arguments: Any) -> Iterator[Effect]:
    from plugins_registry.what_if import effects  # noqa: PLC0415 - for the one page and command that ask what would be

    return effects(*arguments)
