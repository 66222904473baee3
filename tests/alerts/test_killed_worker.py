"""The worker of a real service is killed while a receiver holds its message: it is sent again, under the same id."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from tests.alerts.receivers import Receiver, Reply
from tests.end_to_end.service import Service
from tests.end_to_end.waiting import eventually

MAKE = """
from alerts import destinations
from core.clock import now
from customers.models import Customer
customer = Customer.objects.get(public_id="{customer}")
made, secret = destinations.add_webhook(customer, "Pager", "{url}", at=now(), actor="user:ann")
destinations.test(made, at=now(), actor="user:ann")
"""


def column(service: Service, name: str) -> str:
    """Of the one message, read from the database file itself."""
    path = service.data_dir / "kilometers.sqlite3"
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
        return str(database.execute(f"SELECT {name} FROM alerts_delivery").fetchone()[0])


def let_the_claim_end(service: Service) -> None:
    """Two minutes pass."""
    path = service.data_dir / "kilometers.sqlite3"
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as database, database:
        database.execute("UPDATE alerts_delivery SET next_at = '2025-01-01 00:00:00'")


@pytest.mark.servers
def test_a_message_survives_kill_9_of_the_worker_that_sends_it(tmp_path: Path) -> None:
    with Receiver() as receiver:
        receiver.replies = [Reply(stall=True), Reply(204)]
        service = Service(tmp_path, settings={"KM_WEBHOOK_PRIVATE_NETWORKS": "127.0.0.0/8"}).start()
        try:
            account = service.create_customer()
            service.manage("shell", "-c", MAKE.format(customer=account.public_id, url=receiver.url))
            eventually(lambda: len(receiver.received) == 1, within=60, what="the receiver holds the message")
            for worker in service.children("run_worker"):
                worker.kill()
                worker.wait(10)
            assert (column(service, "state"), column(service, "tries")) == ("waiting", "0")
            let_the_claim_end(service)
            eventually(lambda: column(service, "state") == "delivered", within=90, what="another worker sends it")
        finally:
            service.stop()
        assert len(receiver.received) == 2
        assert len(set(receiver.ids)) == 1
        first, second = receiver.received
        assert first.body == second.body
