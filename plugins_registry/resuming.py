"""Finds what waits for a worker that never heard of it, and wakes one.

    resume(at=moment)      # 2: one scan whose message was lost, one letter the mail server refused

A message is only a wake-up: a broker that was down, a worker that was killed, a check that failed on our side. Which
scans are due, and when one is left to an operator, is for `scanning` to say.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from plugins_registry import scanning
from plugins_registry.models import Notice
from plugins_registry.wakeup import NOTIFY, SCAN, send

LETTER_AFTER = timedelta(minutes=5)  # by then its message has reached a worker, or never will
MAX_LETTERS = 200


def resume(*, at: datetime) -> int:
    """How much was woken."""
    scans, letters = scanning.due(at=at), _letters(at)
    for pk in scans:
        send(SCAN, pk)
    for pk in letters:
        send(NOTIFY, pk)
    return len(scans) + len(letters)


def _letters(at: datetime) -> list[int]:
    due = Notice.objects.filter(sent_at=None, change__at__lt=at - LETTER_AFTER).order_by("id")
    return list(due.values_list("change_id", flat=True)[:MAX_LETTERS])
