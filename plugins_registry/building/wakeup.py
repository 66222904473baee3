"""Wakes the worker of a build, once the transaction under way is committed. What is lost, `resume` finds again."""

from __future__ import annotations

import celery
import structlog
from django.db import transaction
from kombu.exceptions import OperationalError

BUILDS, SIGNING = "builds", "signing"  # queues of `CELERY_TASK_ROUTES`: the second's worker holds the keys
PAYLOAD, BUILD, SIGN, RESUME = (
    "registry.build_payload",
    "registry.build_for",
    "registry.sign_build",
    "registry.resume_builds",
)
EXPIRES_SECONDS = 3600  # a build takes minutes, and others wait before it

_log = structlog.get_logger(__name__)


def after_commit(task: str, pk: int) -> None:
    """Queue `task` for the row `pk`."""
    transaction.on_commit(lambda: _send(task, pk))


def _send(task: str, pk: int) -> None:
    app = celery.current_app
    try:
        app.send_task(task, (pk,), expires=EXPIRES_SECONDS, retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        _log.warning("broker_unreachable", task=task, error=str(error), effect="built at the next round of `resume`")
