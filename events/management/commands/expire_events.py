"""`manage.py expire_events`: make room for the coming days and delete what is no longer kept, as the hourly task."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from core import shared_clock
from events import retention, stores


class Command(BaseCommand):
    help = "Delete events, sessions and rollups older than each customer's tier keeps. Never the inbox."

    def handle(self, *_: Any, **__: Any) -> str:
        stores.current().prepare(now=shared_clock.now())
        gone = retention.expire(now=shared_clock.agreed())
        dropped = f", dropped {gone.partitions} partitions" if gone.partitions else ""
        return f"deleted {gone.events} events, {gone.sessions} sessions, {gone.rollups} rollups{dropped}"
