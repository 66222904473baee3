"""A worker in a process of its own, for `test_event_logs`: it drains until nothing is due, or dies where it is told to.

    python -m tests.events.drainer '{"database": {…}, "log": "rabbitmq", "log_url": "", "redis_url": "", "dies": ""}'

`dies` is `before the commit`, `after the commit` (and before the log hears of it), or blank. Prints how many it stored.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

import django
from django.conf import settings
from django.db import transaction

from core.clock import now


def main(told: dict[str, Any]) -> None:
    """Be the service's worker, with the test's servers."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "kmcloud.settings"
    settings.DATABASES["default"].update(told["database"])
    settings.EVENT_LOG, settings.EVENT_LOG_URL = told["log"], told["log_url"]
    settings.REDIS_URL = told["redis_url"]
    django.setup()
    # these need the settings
    drain, hooks = importlib.import_module("events.drain"), importlib.import_module("events.stored_hooks")
    if told["dies"]:
        hooks.on_stored(_before_the_commit if told["dies"] == "before the commit" else _after_the_commit)
    total = drain.Drained()
    while (step := drain.drain(now=now())).rows:
        total += step
    print(total.stored)


def _before_the_commit(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after_the_commit(events: object) -> None:
    transaction.on_commit(lambda: _before_the_commit(events))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
