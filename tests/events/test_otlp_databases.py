"""The export on each real database, with several workers at it: every call once, whoever wins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings

from core.clock import now
from customers import accounts
from events import stored_hooks
from events.otlp import outbox
from events.otlp.export import export
from events.otlp.models import Body, Half, Series
from events.otlp.sending import CLAIM
from tests.events.conftest import sender_for
from tests.events.databases import KINDS, real_database
from tests.events.samples import a_call, answer_of, drain_everything
from tests.fakes.otlp_receiver import Receiver, receiver

WORKERS, BATCHES, CALLS = 4, 6, 10


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real database of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture
def collector(database: str) -> Iterator[Receiver]:
    """A receiver, and the export switched on for it."""
    call_command("flush", verbosity=0, interactive=False)
    with receiver() as listening, override_settings(OTLP_ENDPOINT=listening.url):
        stored_hooks.on_stored(outbox.keep)
        yield listening
        stored_hooks.off_stored(outbox.keep)


def test_workers_at_once_export_every_call_once(collector: Receiver) -> None:
    sender = sender_for(accounts.create_customer("Acme", "enterprise", at=now()))
    for batch in range(BATCHES):
        calls = [event for number in range(CALLS) for event in a_call(f"c{batch}-{number}")]
        answer_of(sender.post(calls))
    drain_everything()
    together = threading.Barrier(WORKERS)

    def work() -> None:
        together.wait()
        export(clock=now)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    export(clock=lambda: now() + CLAIM)
    ids = [span.span_id for _, span in collector.spans]
    assert len(ids) == len(set(ids)) == BATCHES * CALLS
    assert (Half.objects.count(), Body.objects.count()) == (0, 0)
    assert Series.objects.get().count == BATCHES * CALLS


def test_the_metrics_page_asks_this_database_nothing_it_does_not_know(collector: Receiver) -> None:
    page = Client(SERVER_NAME="localhost").get("/metrics").content.decode()
    assert "km_database_up 1.0" in page
    assert "km_review_queue_age_seconds" in page and "km_otlp_failures" in page
    assert settings.OTLP_ENDPOINT
