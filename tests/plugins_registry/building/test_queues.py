"""Each task goes to the queue whose worker may do it, whoever sends it."""

from __future__ import annotations

import warnings

import pytest

from kmcloud.celery import app
from plugins_registry import wakeup as reviews
from plugins_registry.building import wakeup
from plugins_registry.repositories import wakeup as repositories

QUEUES = {
    wakeup.PAYLOAD: wakeup.BUILDS,
    wakeup.BUILD: wakeup.BUILDS,
    wakeup.SIGN: wakeup.SIGNING,
    repositories.PUBLISH: repositories.QUEUE,
    wakeup.RESUME: reviews.QUEUE,
    reviews.SCAN: reviews.QUEUE,
    "registry.sweep_orphans": reviews.QUEUE,
}


@pytest.mark.parametrize("task", QUEUES)
def test_a_task_goes_to_its_queue(task: str) -> None:
    assert app.amqp.router.route({}, task)["queue"].name == QUEUES[task]


def test_no_task_of_ours_brings_a_queue_of_its_own() -> None:
    """Celery drops that attribute; a queue that is named in two places is wrong in one of them."""
    app.loader.import_default_modules()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, task in app.tasks.items():
            task.bind(app)
            assert getattr(task, "queue", None) is None, name
