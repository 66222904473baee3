"""`manage.py expire_events`: delete now what customers no longer keep, as the hourly task does."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from core.clock import now
from events import retention


class Command(BaseCommand):
    help = "Delete events, sessions and rollups older than each customer's tier keeps. Never the inbox."

    def handle(self, *_: Any, **__: Any) -> str:
        gone = retention.expire(now=now())
        return f"deleted {gone.events} events, {gone.sessions} sessions, {gone.rollups} rollups"
