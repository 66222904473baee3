"""Two workers at one build, on the databases the service runs on: one does it, and what it writes is whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from km_protocol.kmpkg.trust import TrustPolicy
from km_protocol.kmpkg.verify import verify

from core.clock import now
from customers import accounts
from customers.models import AuditEntry, Customer
from plugins_registry.building import claims, customer_builds, issuing, kept_files, payloads, requests, wakeup
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild, SigningRole
from tests.events.databases import KINDS, real_database
from tests.plugins_registry.building.conftest import Key, approve, console_logger, payload_row

WORKERS = 6


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real database of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture
def payload(database: str, own_storage: None, monkeypatch: pytest.MonkeyPatch) -> PayloadBuild:
    """A payload that waits to be built in an otherwise empty database; no worker is woken."""
    call_command("flush", verbosity=0, interactive=False)
    monkeypatch.setattr(wakeup, "_send", lambda *_: None)
    return payload_row(console_logger())


@pytest.fixture
def issuer(payload: PayloadBuild) -> Key:
    key = Key()
    SigningRole.objects.create(role="issuer", key_id=key.keyid, public={})
    return key


def at_once(call: Callable[[], object], workers: int = WORKERS) -> list[object]:
    """What each of them got, all begun together."""
    together = threading.Barrier(workers)
    got: list[object] = []

    def run() -> None:
        together.wait()
        try:
            got.append(call())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == workers, "one of them failed"
    return got


def test_of_many_workers_one_claims_a_build(payload: PayloadBuild) -> None:
    moment = now()
    for number in range(5):  # a claim that has ended is claimed anew, by one again
        at = moment + number * payloads.CLAIM
        got = at_once(partial(claims.take, PayloadBuild, payload.pk, until=at + payloads.CLAIM, at=at))
        assert sum(claim is not None for claim in got) == 1


def test_a_claim_that_ended_writes_nothing_however_late_its_worker_is(payload: PayloadBuild) -> None:
    moment = now()
    first = claims.take(PayloadBuild, payload.pk, until=moment + payloads.CLAIM, at=moment)
    assert first is not None and first.renew(until=moment + 2 * payloads.CLAIM)
    assert claims.take(PayloadBuild, payload.pk, until=moment, at=moment + payloads.CLAIM) is None, "it was renewed"
    ended = moment + 2 * payloads.CLAIM
    second = claims.take(PayloadBuild, payload.pk, until=ended + payloads.CLAIM, at=ended)
    assert second is not None
    assert not first.renew(until=ended + timedelta(days=1))
    assert not first.finish(state=BuildState.FAILED, log="too late")
    assert second.finish(state=BuildState.BUILT, payload_digest="ab" * 32)
    payload.refresh_from_db()
    assert (payload.state, payload.log) == (BuildState.BUILT, "")


def test_two_workers_at_once_build_a_payload_once(payload: PayloadBuild) -> None:
    got = at_once(lambda: payloads.build_payload(payload.pk, clock=now), workers=2)
    payload.refresh_from_db()
    assert payload.state == BuildState.BUILT, payload.log
    assert sorted(map(bool, got)) in ([False, True], [True, True])  # the second may come when the first is through
    assert AuditEntry.objects.filter(action="payload.built").count() == 1


def test_many_who_ask_at_once_get_one_package_signed_once(payload: PayloadBuild, issuer: Key) -> None:
    customer: Customer = accounts.create_customer("Acme", "pro", at=now())
    assert payloads.build_payload(payload.pk, clock=now)
    approve(payload, [Key(), Key()])
    rows = at_once(lambda: requests.request_build(payload, customer, at=now()).pk)
    assert len(set(rows)) == 1
    build = CustomerBuild.objects.get()
    at_once(lambda: customer_builds.embed(build.pk, clock=now))
    at_once(lambda: issuing.issue(build.pk, clock=now, signer=issuer))
    build.refresh_from_db()
    assert build.state == BuildState.BUILT, build.log
    assert kept_files.sha256(kept_files.load(str(build.package.name))) == build.sha256
    assert AuditEntry.objects.filter(action="build.signed").count() == 1
    assert issuing.issue(build.pk, clock=now, signer=issuer)


@pytest.mark.parametrize("then", ["embedded", "asked for"])
def test_what_became_of_a_build_before_it_was_claimed_is_what_is_signed(
    payload: PayloadBuild, issuer: Key, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """Between looking and claiming, the build is begun anew, with another key."""
    customer: Customer = accounts.create_customer("Acme", "pro", at=now())
    assert payloads.build_payload(payload.pk, clock=now)
    approve(payload, reviewers := [Key(), Key()])
    build = requests.request_build(payload, customer, at=now())
    assert customer_builds.embed(build.pk, clock=now)
    take = claims.take

    def late(*arguments: Any, **options: Any) -> claims.Claim | None:
        monkeypatch.setattr(claims, "take", take)
        CustomerBuild.objects.filter(pk=build.pk).update(state=BuildState.QUEUED, build_key_public="", built_at=None)
        if then == "embedded":
            assert customer_builds.embed(build.pk, clock=now)
        return take(*arguments, **options)

    monkeypatch.setattr(claims, "take", late)
    assert issuing.issue(build.pk, clock=now, signer=issuer) == (then == "embedded")
    build.refresh_from_db()
    if then == "asked for":
        assert (build.state, build.claimed_until) == (BuildState.QUEUED, None)
        return
    policy = TrustPolicy({issuer.keyid: issuer.public}, {each.keyid: each.public for each in reviewers}, 2)
    verified = verify(kept_files.load(str(build.package.name)), policy, at=now())
    assert verified.statement.build_key == build.build_key_public
