"""Tells a worker that something is to be signed. A hint, never data: a lost one delays by a round of the sweeper.

publish_on_commit()      # once a transaction, however many repositories it marked
"""

from __future__ import annotations

import celery
import structlog
from django.db import connection, transaction
from kombu.exceptions import OperationalError

PUBLISH = "registry.publish"
QUEUE = "signing"
EXPIRES_SECONDS = 60  # by then the sweeper has been by

_log = structlog.get_logger(__name__)


def publish_on_commit() -> None:
    """Have a worker publish what is dirty, once the transaction under way is committed."""
    if not any(waiting[1] is _ring for waiting in connection.run_on_commit):
        transaction.on_commit(_ring)


def _ring() -> None:
    try:
        celery.current_app.send_task(PUBLISH, queue=QUEUE, expires=EXPIRES_SECONDS, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        _log.warning("broker_unreachable", error=str(error), effect="metadata is signed at the sweeper's next round")
