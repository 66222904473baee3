"""Hands work to the workers once the transaction is through. A message is a wake-up: one that is lost delays.

    after_commit(SCAN, revision.pk)

A broker that is down fails nobody's request; `registry.resume` finds what waits.
"""

from __future__ import annotations

import celery
import structlog
from django.db import transaction

SCAN = "registry.scan"
NOTIFY = "registry.notify"
QUEUE = "maintenance"

_log = structlog.get_logger(__name__)


def after_commit(task: str, row: int) -> None:
    """Queue `task` for a row when the transaction under way is committed, at once if there is none."""
    transaction.on_commit(lambda: send(task, row))


def send(task: str, row: int) -> None:
    """Queue `task` now, if the broker can be reached."""
    try:
        celery.current_app.send_task(task, (row,), queue=QUEUE, retry=False, ignore_result=True)
    except Exception as error:  # noqa: BLE001 - whatever the broker's library raises: the sweep sends it again
        _log.warning("broker_unreachable", task=task, error=str(error), effect="done some minutes later")
