"""Authors are written to, once, with what they need to know; whoever has no business with it is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from customers.models import Customer
from plugins_registry import notices, queries, resuming, review, wakeup
from plugins_registry.lifecycle import Action
from plugins_registry.models import Finding, Notice, Revision, StateChange
from tests.plugins_registry.registry import LATER, NOON, TO_SECURITY, archive, brought, person, reviewer, submitted

pytestmark = pytest.mark.usefixtures("own_storage")


@pytest.fixture
def author(acme: Customer) -> None:
    person("paula", of=acme)


def letter(revision: Revision, action: Action) -> str:
    change = StateChange.objects.get(revision=revision, action=action)
    assert notices.send(change.pk, at=LATER)
    return str(mail.outbox[-1].body)


@pytest.mark.usefixtures("author")
def test_a_letter_holds_the_place_the_usual_wait_and_every_finding(acme: Customer, globex: Customer) -> None:
    first = brought(submitted(globex, archive(name="first-tools")), TO_SECURITY)
    review.decide(first, "security", reviewer("ann"), "approve", "", "", at=NOON + timedelta(hours=7))
    waiting = submitted(acme)
    brought(waiting, TO_SECURITY)
    Finding.objects.create(
        revision=waiting, check_name="secrets", rule="km-key", severity="high", file="main.py", line=4,
        message="holds an API key", hint="revoke it", fingerprint="f",
    )  # fmt: skip
    body = letter(waiting, Action.PASS_SCAN)
    assert "place 2; half of all submissions had a first decision within 7 hours" in body
    assert "[high] km-key in main.py, line 4\n    holds an API key\n    hint: revoke it" in body
    sent = mail.outbox[-1]
    assert (sent.subject, sent.to) == ("slow-tools 1.0.0: security review", ["paula@example.com"])


@pytest.mark.usefixtures("author")
def test_a_rejection_says_why_and_what_next(acme: Customer) -> None:
    revision = brought(submitted(acme), TO_SECURITY)
    review.decide(revision, "security", reviewer("ann"), "reject", "secrets", "a key in <main.py> & more", at=LATER)
    body = letter(revision, Action.REJECT)
    assert "it holds a key or a password (secrets)" in body and "a key in <main.py> & more" in body
    assert f"/api/registry/submissions/{revision.public_id}/appeal" in body
    assert "ann" not in body  # who decided is not told


@pytest.mark.usefixtures("author")
def test_a_letter_is_sent_once(acme: Customer) -> None:
    change = StateChange.objects.get(revision=submitted(acme), action=Action.SUBMIT)
    assert [notices.send(change.pk, at=LATER) for _ in range(2)] == [True, False]
    assert len(mail.outbox) == 1


@pytest.mark.usefixtures("author")
def test_what_the_mail_server_refused_is_sent_again(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    change = StateChange.objects.get(revision=submitted(acme), action=Action.SUBMIT)
    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMessage.send", lambda _: (_ for _ in ()).throw(OSError("refused")))
        with pytest.raises(OSError, match="refused"):
            notices.send(change.pk, at=NOON)
    assert Notice.objects.get(change=change).sent_at is None
    woken: list[tuple[str, int]] = []
    monkeypatch.setattr(resuming, "send", lambda task, row: woken.append((task, row)))
    resuming.resume(at=NOON + timedelta(minutes=10))
    assert (wakeup.NOTIFY, change.pk) in woken and (wakeup.SCAN, change.revision_id) in woken
    assert notices.send(change.pk, at=LATER)


def test_nobody_without_an_address_is_written_to(acme: Customer) -> None:
    change = StateChange.objects.get(revision=submitted(acme), action=Action.SUBMIT)
    assert not notices.send(change.pk, at=LATER)
    assert mail.outbox == []


def test_what_is_between_the_service_and_itself_is_no_letter(acme: Customer) -> None:
    revision = submitted(acme)
    brought(revision, (Action.VALIDATE, Action.SCAN, Action.FAIL_SCAN, Action.RETRY_SCAN))
    assert [each.change.action for each in Notice.objects.all()] == [Action.SUBMIT]


def test_a_broker_that_is_down_fails_no_submission(
    acme: Customer, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no broker")

    monkeypatch.setattr("celery.current_app.send_task", fails)
    with django_capture_on_commit_callbacks(execute=True) as ran:
        submitted(acme)
    assert len(ran) >= 2


def test_there_is_no_median_before_anybody_was_reviewed(db: None) -> None:
    assert queries.median_wait(at=NOON) is None


@pytest.mark.parametrize(
    ("wait", "words"),
    [(20, "1 minute"), (2400, "40 minutes"), (25_200, "7 hours"), (260_000, "3 days"), (86_400, "1 day")],
)
def test_a_wait_in_words(wait: int, words: str) -> None:
    assert notices.in_words(timedelta(seconds=wait)) == words
