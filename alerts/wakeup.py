"""Wakes the worker that delivers, once the transaction is through. A wake-up that is lost delays until the next round.

after_commit()
"""

from __future__ import annotations

import celery
import structlog
from django.db import transaction

DELIVER = "alerts.deliver"
QUEUE = "maintenance"

_log = structlog.get_logger(__name__)


def after_commit() -> None:
    """Deliver when the transaction under way is committed, at once if there is none."""
    transaction.on_commit(_send)


def _send() -> None:
    try:
        celery.current_app.send_task(DELIVER, queue=QUEUE, retry=False, ignore_result=True)
    except Exception as error:  # noqa: BLE001 - whatever the broker's library raises: the next round finds the row
        _log.warning("broker_unreachable", task=DELIVER, error=str(error), effect="done a quarter of a minute later")
