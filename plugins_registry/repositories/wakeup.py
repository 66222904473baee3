"""Tells a worker that something is to be signed or built. A hint, never data: a lost one delays by a sweeper's round.

publish_on_commit()          # once a transaction, however many repositories it marked
build_on_commit(build.pk)    # a customer's package of a payload
"""

from __future__ import annotations

import celery
import structlog
from django.db import connection, transaction
from kombu.exceptions import OperationalError

PUBLISH = "registry.publish"
QUEUE = "signing"
BUILD, BUILDS = "registry.build_for", "builds"
EXPIRES_SECONDS = 60  # by then the sweeper has been by

_log = structlog.get_logger(__name__)


def publish_on_commit() -> None:
    """Have a worker publish what is dirty, once the transaction under way is committed."""
    if not any(waiting[1] is _ring for waiting in connection.run_on_commit):
        transaction.on_commit(_ring)


def build_on_commit(customer_build_id: int) -> None:
    """Have a worker build a customer's package, once its row is committed."""
    transaction.on_commit(lambda: _send(BUILD, BUILDS, customer_build_id))


def _ring() -> None:
    _send(PUBLISH, QUEUE)


def _send(task: str, queue: str, *arguments: int) -> None:
    try:
        celery.current_app.send_task(
            task, arguments, queue=queue, expires=EXPIRES_SECONDS, retry=False, ignore_result=True
        )
    except (OperationalError, OSError) as error:
        _log.warning("broker_unreachable", error=str(error), task=task, effect="done at the sweeper's next round")
