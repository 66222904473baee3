"""A task's lines carry the ids of the request that queued it, over a real broker, and its own end is one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import celery
import pytest
from celery.contrib.testing.worker import start_worker
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from core import correlation, task_log


@pytest.fixture
def app() -> Iterator[celery.Celery]:
    """An application of one's own on kombu's broker in memory: messages are encoded as for any other."""
    default = celery.current_app
    made = celery.Celery("own", broker="memory://", set_as_current=False)
    made.conf.update(task_ignore_result=True, task_default_queue="own")
    task_log.connect()
    yield made
    made.close()
    default.set_current()


def run(app: celery.Celery, *, failing: bool = False) -> tuple[dict[str, Any], list[Any]]:
    """What a task saw of its context, and what was logged, when it was queued now."""
    seen: dict[str, Any] = {}

    @app.task(name="own.work", shared=False)
    def work() -> None:
        seen.update(get_contextvars())
        if failing:
            raise ValueError("as asked")

    with capture_logs(processors=[merge]) as lines:
        work.delay()
        correlation.end()
        with start_worker(app, pool="solo", perform_ping_check=False, loglevel="CRITICAL"):
            done = [line for line in wait_for(lines) if line["event"] == "task"]
    return seen, done


def merge(logger: object, method: str, event: Any) -> Any:
    return get_contextvars() | event


def wait_for(lines: list[Any]) -> list[Any]:
    from tests.events.samples import await_that  # noqa: PLC0415

    await_that(lambda: any(line["event"] == "task" for line in lines))
    return lines


def test_a_task_has_the_ids_of_the_request_that_queued_it(app: celery.Celery) -> None:
    correlation.begin("checkout-7", None)
    correlation.identify(customer_id="cus_1")
    ids = correlation.carried()
    seen, (line,) = run(app)
    assert {name: seen[name] for name in ids} == ids
    assert {name: line[name] for name in ids} == ids
    assert (line["task"], line["state"], line["log_level"]) == ("own.work", "SUCCESS", "info")
    assert line["task_id"] == seen["task_id"] and line["duration_ms"] >= 0


def test_a_task_of_the_clock_is_quiet_and_has_no_ids(app: celery.Celery) -> None:
    correlation.end()
    seen, (line,) = run(app)
    assert seen.keys() == {"task_id"}
    assert line["log_level"] == "debug"


def test_a_task_that_fails_is_an_error_whoever_asked(app: celery.Celery) -> None:
    correlation.end()
    _, (line,) = run(app, failing=True)
    assert (line["state"], line["log_level"]) == ("FAILURE", "error")
