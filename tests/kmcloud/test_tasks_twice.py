"""A broker may deliver a task twice: what a task without arguments has done, it does not do again.

Tasks about one row (a scan, a build, a letter) are run twice in their own rooms' tests.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from django.apps import apps

from core.clock import now
from customers import accounts
from events import wakeup
from events.models import Heartbeat
from kmcloud.celery import app
from tests.events.conftest import Doorbell, sender_for
from tests.events.samples import an_event

app.loader.import_default_modules()
OURS = [name for name in app.tasks if not name.startswith("celery.")]
PERIODIC = sorted(name for name in OURS if not inspect.signature(app.tasks[name].run).parameters)


def rows() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, but who was alive when."""
    models = [model for model in apps.get_models() if model is not Heartbeat]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in models}


def test_what_the_clock_starts_is_among_them() -> None:
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(PERIODIC)
    assert "events.drain" in PERIODIC


@pytest.mark.django_db
@pytest.mark.parametrize("name", PERIODIC)
def test_a_task_that_is_delivered_twice_works_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeup, "_doorbell", Doorbell())
    sender = sender_for(accounts.create_customer("Acme", "enterprise", at=now()))
    for batch in ([an_event() for _ in range(3)], [an_event()]):
        sender.post(batch)
    app.tasks[name]()
    once = rows()
    app.tasks[name]()
    assert rows() == once
    if name == "events.drain":
        assert len(once["events.Event"]) == 4
        assert not once["events.InboxEntry"]
