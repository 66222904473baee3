"""Django's registration of this app."""

from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class EventsConfig(AppConfig):
    name = "events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from customers import usage, what_if  # noqa: PLC0415 - these need the app registry
        from events import checks, definitions_keeping, metrics, quotas, stored_hooks  # noqa: F401,PLC0415 - `checks` registers itself
        from events.joined import teach  # noqa: PLC0415
        from events.what_if import effects  # noqa: PLC0415

        connection_created.connect(teach, dispatch_uid="events.joined")
        usage.register(quotas.used)
        metrics.register()
        stored_hooks.on_stored(definitions_keeping.keep)
        what_if.register(effects)
        post_migrate.connect(_make_room, sender=self, dispatch_uid="events.room")


def _make_room(*, using: str, **_: Any) -> None:
    """So that the first event after a `migrate` finds its place."""
    from core import shared_clock  # noqa: PLC0415 - as above
    from events import stores  # noqa: PLC0415 - as above

    if using == DEFAULT_DB_ALIAS:
        stores.current().prepare(now=shared_clock.now())
