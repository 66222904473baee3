"""What the tests of this room stand on: a customer whose traffic is a few lines, a clock that is set, no worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from pytest_django.fixtures import Settings

from alerts import rules, wakeup
from alerts.evaluator import Evaluated, evaluate
from alerts.models import Destination, Rule
from alerts.rules import Draft
from customers.accounts import create_customer
from customers.models import Customer
from tests.alerts.receivers import MailServer, Receiver
from tests.dashboard.traffic import Talk

MINUTE = timedelta(minutes=1)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    moment: datetime

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **length: float) -> datetime:
        self.moment += timedelta(**length)
        return self.moment


@pytest.fixture
def clock() -> Clock:
    """Noon of the day before: everything a test says is in the past."""
    return Clock(datetime.now(UTC).replace(hour=12, minute=0, second=30, microsecond=0) - timedelta(days=1))


@pytest.fixture(autouse=True)
def kicks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No worker comes: each wake-up that was sent."""
    sent: list[str] = []
    monkeypatch.setattr(wakeup, "_send", lambda: sent.append(wakeup.DELIVER))
    return sent


@pytest.fixture
def acme(db: None, clock: Clock) -> Customer:
    return create_customer("Acme", "pro", at=clock())


@pytest.fixture
def globex(db: None, clock: Clock) -> Customer:
    return create_customer("Globex", "pro", at=clock())


def calls(
    customer: Customer, at: datetime, *, count: int, fail: int = 0, after_ms: float = 5, server: str = "git"
) -> None:
    """`count` calls of `git_log` in the seconds before `at`, the first `fail` of them answered by an error. Stored."""
    began = at - timedelta(milliseconds=(after_ms + 2) * count + 1)
    talk = Talk(f"s-{server}-{at.timestamp()}", started_at=began, server={"name": server})
    for number in range(count):
        asked = talk.request("tools/call", tool="git_log")
        talk.answer(asked, error={"code": -1, "message": "no"} if number < fail else None, after_ms=after_ms)
    talk.store(customer)


def a_rule(customer: Customer, at: datetime, *destinations: Destination, **fields: object) -> Rule:
    """A rule of the kind's defaults but for `fields`."""
    kind = str(fields.pop("kind", "errors"))
    usual = rules.defaults(kind)
    row = {**usual.row(), "cooldown_minutes": 5, **fields}
    return rules.create(customer, Draft(**row, destinations=destinations), at=at, actor="user:ann")


def rounds(clock: Clock, minutes: int) -> Evaluated:
    """A round each minute, for `minutes`; the clock goes along."""
    total = Evaluated()
    for _ in range(minutes):
        total += evaluate(clock=clock)
        clock.forward(minutes=1)
    return total


@pytest.fixture
def loopback(settings: Settings) -> None:
    """This machine's own network is one that the operator allows."""
    settings.WEBHOOK_PRIVATE_NETWORKS = [ip_network("127.0.0.0/8")]


@pytest.fixture
def receiver(loopback: None) -> Iterator[Receiver]:
    """A webhook's receiver that says 204 until told otherwise."""
    with Receiver() as running:
        yield running


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    """A mail server that takes every letter until told otherwise, and Django's own SMTP backend."""
    with MailServer() as running:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", running.port
        settings.EMAIL_TIMEOUT = 5
        yield running
