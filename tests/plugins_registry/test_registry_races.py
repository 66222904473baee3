"""Two at once, on real databases: one revision, one decision, one withdrawal, and every row's history whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection

from core.clock import now
from core.errors import ApiError
from customers import accounts
from customers.models import AuditEntry, Customer
from plugins_registry import appeals, approvals, review, wakeup, withdrawal
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import Appeal, Approval, Revision, Source, StateChange
from tests.events.databases import KINDS, real_database
from tests.plugins_registry.registry import (
    LATER,
    TO_CERTIFIED,
    TO_SECURITY,
    OwnKey,
    archive,
    brought,
    built,
    reviewer,
    submitted,
)


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real database of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture
def acme(database: str, own_storage: Path, monkeypatch: pytest.MonkeyPatch) -> Customer:
    """A customer in an otherwise empty database. No worker is woken: a transaction here really ends."""
    call_command("flush", verbosity=0, interactive=False)
    monkeypatch.setattr(wakeup, "send", lambda *_: None)
    return accounts.create_customer("Acme", "pro", at=now())


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each returned or raised, all of them begun together."""
    together = threading.Barrier(len(calls))
    got: list[object] = []

    def run(one: Callable[[], object]) -> None:
        together.wait()
        try:
            got.append(one())
        except ApiError as error:
            got.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(one,)) for one in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def winners(got: list[object]) -> int:
    return sum(not isinstance(each, ApiError) for each in got)


def test_the_same_upload_six_times_at_once_is_one_revision(acme: Customer, own_storage: Path) -> None:
    data = archive()
    got = at_once(*[lambda: submitted(acme, data)] * 6)
    assert winners(got) == 6, got
    assert (Revision.objects.count(), Source.objects.count()) == (1, 1)
    assert StateChange.objects.count() == AuditEntry.objects.filter(action="revision.submit").count() == 1
    assert len(list(own_storage.rglob("*.zip"))) == 1


def test_six_sources_of_a_version_at_once_are_numbered_and_one_is_left(acme: Customer) -> None:
    sources = [archive({"main.py": f"{number}\n".encode()}) for number in range(6)]
    got = at_once(*[lambda data=data: submitted(acme, data) for data in sources])
    assert winners(got) == 6, got
    rows = Revision.objects.order_by("number").values_list("number", "state")
    assert list(rows) == [(number, "superseded") for number in range(1, 6)] + [(6, "submitted")]


def test_of_two_withdrawals_at_once_one_wins(acme: Customer) -> None:
    made = submitted(acme)
    got = at_once(*[lambda: withdrawal.withdraw(made, actor="key:k", at=LATER)] * 2)
    assert winners(got) == 1
    assert StateChange.objects.filter(action=Action.WITHDRAW).count() == 1


@pytest.mark.parametrize(("one", "other"), [("approve", "approve"), ("approve", "reject"), ("reject", "reject")])
def test_of_two_reviewers_at_once_one_decides(acme: Customer, one: str, other: str) -> None:
    made = brought(submitted(acme), TO_SECURITY)
    people: list[tuple[User, str]] = [(reviewer("ann"), one), (reviewer("bob"), other)]

    def decide(user: User, decision: str) -> object:
        mine = Revision.objects.select_related("version__plugin").get(pk=made.pk)
        reason = "" if decision == "approve" else "quality"
        return review.decide(mine, "security", user, decision, reason, "because", at=LATER)

    got = at_once(*[lambda user=user, word=word: decide(user, word) for user, word in people])
    assert winners(got) == 1, got
    made.refresh_from_db()
    assert made.reviews.count() == 1
    assert made.state in {State.CODE_REVIEW, State.REJECTED}


def test_a_withdrawal_and_a_decision_at_once_are_one_of_both(acme: Customer) -> None:
    made, ann = brought(submitted(acme), TO_SECURITY), reviewer("ann")
    got = at_once(
        lambda: withdrawal.withdraw(made, actor="key:k", at=LATER),
        lambda: review.decide(made, "security", ann, "reject", "quality", "because", at=LATER),
    )
    assert winners(got) == 1, got
    assert StateChange.objects.filter(at=LATER).count() == 1


def test_two_signatures_at_once_approve_once(acme: Customer) -> None:
    made = brought(submitted(acme), TO_CERTIFIED)
    statement = approvals.statement_for(built(made))
    keys = [OwnKey(reviewer(name)) for name in ("ann", "bob")]
    got = at_once(*[lambda key=key: review.record_approval(made, key.envelope(statement), at=LATER) for key in keys])
    assert winners(got) == 2, got
    assert Approval.objects.count() == 2
    assert StateChange.objects.filter(action=Action.APPROVE).count() == 1


def test_one_person_who_signs_many_times_at_once_has_signed_once(acme: Customer) -> None:
    made = brought(submitted(acme), TO_CERTIFIED)
    key = OwnKey(reviewer("ann"))
    envelope = key.envelope(approvals.statement_for(built(made)))
    got = at_once(*[lambda: review.record_approval(made, envelope, at=LATER)] * 6)
    assert winners(got) == 6, got
    assert Approval.objects.count() == AuditEntry.objects.filter(action="revision.signed").count() == 1
    made.refresh_from_db()
    assert made.state == State.CERTIFIED


def test_of_two_appeals_at_once_one_is_open(acme: Customer) -> None:
    made = brought(submitted(acme), (*TO_SECURITY, Action.REJECT))
    got = at_once(*[lambda: appeals.appeal(made, "please", actor="key:k", at=LATER)] * 2)
    assert winners(got) == 1, got
    assert Appeal.objects.count() == 1
