"""Who is calling, proved: by key or token, remembered for a minute, never past what a revocation allows."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from km_protocol import api_keys as key_format

from core.errors import Forbidden, Unauthenticated
from customers import api_keys, authentication, proofs, revocation, subscriptions, tokens
from customers.api_keys import Issued
from customers.authentication import Principal, authenticate, authenticate_sender
from customers.models import ApiKey, Customer, RevokedToken, Subscription
from customers.queries import entitlement_of
from customers.scopes import Scope
from customers.states import Action

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def token_of(issued: Issued, moment: datetime) -> str:
    return tokens.mint(issued.key, entitlement_of(issued.key.customer, at=moment), at=moment).token


def plugin_token_of(issued: Issued, moment: datetime) -> str:
    entitlement = entitlement_of(issued.key.customer, at=moment)
    return tokens.mint_plugin_token(issued.key, entitlement, plugin="api-logger", version="1.0.0", at=moment).token


@pytest.fixture(params=["key", "token"])
def header(request: pytest.FixtureRequest, issued: Issued, moment: datetime) -> str:
    """What Acme's laptop sends: its key, or a token made from it."""
    return f"Bearer {issued.secret if request.param == 'key' else token_of(issued, moment)}"


def code_of(header: str | None, moment: datetime) -> str:
    with pytest.raises(Unauthenticated) as refused:
        authenticate(header, now=moment)
    assert refused.value.hint
    return refused.value.code


def test_a_key_and_its_token_prove_the_same_caller(
    header: str, acme: Customer, issued: Issued, moment: datetime
) -> None:
    assert authenticate(header, now=moment) == Principal(
        customer_id=acme.pk,
        public_id=acme.public_id,
        name="Acme",
        tier="pro",
        features=frozenset({"console_logging", "api_logging", "risk_analysis"}),
        events_per_day=100_000,
        retention_days=90,
        scopes=frozenset({"events:write", "events:read"}),
        token_version=1,
        key_id=issued.key.public_id,
    )


@pytest.mark.parametrize("spelling", ["bearer {}", "BEARER {}", "Bearer  {} "])
def test_the_scheme_is_read_as_http_reads_it(issued: Issued, moment: datetime, spelling: str) -> None:
    assert authenticate(spelling.format(issued.secret), now=moment).name == "Acme"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_credentials"),
        ("", "missing_credentials"),
        ("Basic YTpi", "missing_credentials"),
        ("Bearer", "missing_credentials"),
        ("Bearer ", "invalid_token"),
        ("Bearer nonsense", "invalid_token"),
        ("Bearer a.b.c", "invalid_token"),
        ("Bearer é.ü.ñ", "invalid_token"),
        ("Bearer km_live_typo", "malformed_api_key"),
        (f"Bearer {key_format.compose('live', 'A' * 30)}", "unknown_api_key"),
    ],
)
def test_each_cause_has_its_code(db: None, moment: datetime, header: str | None, code: str) -> None:
    assert code_of(header, moment) == code


def test_a_revoked_key_ends_itself_and_its_tokens(header: str, issued: Issued, moment: datetime) -> None:
    api_keys.revoke(issued.key, at=moment)
    assert code_of(header, moment) == "revoked_api_key"


def test_an_expired_key_ends_itself_and_its_tokens(header: str, issued: Issued, moment: datetime) -> None:
    ApiKey.objects.update(expires_at=moment + SECOND)
    authenticate(header, now=moment)
    assert code_of(header, moment + SECOND) == "expired_api_key"


def test_a_suspended_customer_is_refused_until_reinstated(header: str, acme: Customer, moment: datetime) -> None:
    assert revocation.suspend(acme, at=moment)
    assert not revocation.suspend(acme, at=moment)
    assert code_of(header, moment) == "customer_suspended"
    revocation.reinstate(acme, at=moment)
    assert authenticate(header, now=moment).name == "Acme"


def test_raising_the_version_ends_all_tokens_and_no_key(issued: Issued, acme: Customer, moment: datetime) -> None:
    old = token_of(issued, moment)
    revocation.revoke_all_tokens(acme, at=moment)
    assert code_of(f"Bearer {old}", moment) == "revoked_token"
    assert authenticate(f"Bearer {issued.secret}", now=moment).token_version == 2
    new = token_of(api_keys.Issued(api_keys.find(issued.secret), issued.secret), moment)
    assert authenticate(f"Bearer {new}", now=moment).name == "Acme"


def test_another_customers_higher_version_does_not_help(issued: Issued, globex: Customer, moment: datetime) -> None:
    """A token keeps to its customer: neither its id nor its key may be somebody else's."""
    theirs = api_keys.issue(globex, "theirs", at=moment)
    stolen = theirs.key
    stolen.customer = issued.key.customer  # what a token would say if minting mixed two customers up
    mixed = tokens.mint(stolen, entitlement_of(globex, at=moment), at=moment).token
    assert code_of(f"Bearer {mixed}", moment) == "invalid_token"


def test_one_token_can_be_ended_alone(issued: Issued, acme: Customer, moment: datetime) -> None:
    one, other = token_of(issued, moment), token_of(issued, moment)
    for _ in range(2):
        revocation.revoke_token(acme, tokens.verify(one, at=moment).jti, expires_at=moment + MINUTE, at=moment)
    assert code_of(f"Bearer {one}", moment) == "revoked_token"
    assert authenticate(f"Bearer {other}", now=moment).name == "Acme"
    assert revocation.forget_expired_tokens(at=moment + MINUTE + 30 * SECOND) == 0  # the leeway still reads it
    assert revocation.forget_expired_tokens(at=moment + MINUTE + 31 * SECOND) == 1
    assert RevokedToken.objects.count() == 0


def test_a_proof_is_remembered_without_a_query(header: str, moment: datetime) -> None:
    first = authenticate(header, now=moment)
    with CaptureQueriesContext(connection) as queries:
        assert authenticate(header, now=moment + MINUTE - SECOND) is first
    assert len(queries) == 0


def test_after_a_minute_the_rows_are_read_again(header: str, moment: datetime) -> None:
    authenticate(header, now=moment)
    ApiKey.objects.update(revoked_at=moment)  # as another process would: this one hears nothing of it
    authenticate(header, now=moment + MINUTE - SECOND)
    assert code_of(header, moment + MINUTE) == "revoked_api_key"


def test_a_remembered_token_ends_when_the_token_does(issued: Issued, moment: datetime) -> None:
    header = f"Bearer {token_of(issued, moment)}"
    authenticate(header, now=moment + timedelta(seconds=3600))
    assert code_of(header, moment + timedelta(seconds=3631)) == "expired_token"


def test_a_remembered_proof_ends_when_a_trial_does(issued: Issued, acme: Customer, moment: datetime) -> None:
    Subscription.objects.filter(customer=acme).update(state="trialing", trial_ends_at=moment + SECOND)
    header = f"Bearer {issued.secret}"
    assert authenticate(header, now=moment).tier == "pro"
    assert authenticate(header, now=moment + SECOND).tier == "free"


def test_a_clock_set_back_proves_nothing(header: str, moment: datetime) -> None:
    authenticate(header, now=moment)
    with CaptureQueriesContext(connection) as queries:
        authenticate(header, now=moment - SECOND)
    assert len(queries) > 0


@pytest.mark.django_db(transaction=True)
def test_revoking_in_this_process_is_in_force_at_once(header: str, issued: Issued, moment: datetime) -> None:
    authenticate(header, now=moment)
    api_keys.revoke(issued.key, at=moment)
    assert code_of(header, moment + SECOND) == "revoked_api_key"


@pytest.mark.django_db(transaction=True)
def test_a_downgrade_in_this_process_is_in_force_at_once(header: str, acme: Customer, moment: datetime) -> None:
    assert authenticate(header, now=moment).tier == "pro"
    subscriptions.transition(acme.subscription, Action.CANCEL, at=moment)
    assert authenticate(header, now=moment + SECOND).tier == "free"


def test_a_revocation_between_reading_and_remembering_is_not_forgotten(issued: Issued, moment: datetime) -> None:
    """The race: one thread has read the rows, another revokes, the first then remembers what no longer holds."""
    principal, _ = authentication.principal_of(issued.key, at=moment)
    mark = proofs.generation()
    proofs.forget_all()  # the revocation commits here
    now = moment.timestamp()
    proofs.remember(issued.secret, principal, now=now, until=now + 60, mark=mark)
    assert proofs.remembered(issued.secret, now) is None


def test_the_memory_is_bounded_and_drops_the_oldest(
    issued: Issued, moment: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "MAX_ENTRIES", 3)
    principal, _ = authentication.principal_of(issued.key, at=moment)
    for number in range(5):
        proofs.remember(str(number), principal, now=0, until=60, mark=proofs.generation())
    assert [proofs.remembered(str(number), 1) is not None for number in range(5)] == [False, False, True, True, True]


def test_the_memory_holds_no_token(header: str, moment: datetime) -> None:
    authenticate(header, now=moment)
    secret = header.removeprefix("Bearer ")
    assert secret not in repr(proofs._entries)
    assert secret.encode() not in b"".join(proofs._entries)


def test_a_hit_allocates_next_to_nothing(header: str, moment: datetime) -> None:
    """Not a stopwatch: what makes a hit slow is queries and objects, and neither may creep in."""
    authenticate(header, now=moment)
    tracemalloc.start()
    try:
        for _ in range(100):
            authenticate(header, now=moment)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4096
    assert peak < 16384


def test_an_unreachable_database_is_not_a_401(header: str, moment: datetime) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("connection refused")

    with connection.execute_wrapper(gone), pytest.raises(OperationalError):
        authenticate(header, now=moment)


def test_use_is_noted_on_the_key_also_when_a_token_was_sent(header: str, issued: Issued, moment: datetime) -> None:
    authenticate(header, now=moment + SECOND)
    assert ApiKey.objects.get(pk=issued.key.pk).last_used_at == moment + SECOND


def test_a_scope_the_key_lacks_is_refused_by_name(issued: Issued, moment: datetime) -> None:
    principal = authenticate(f"Bearer {issued.secret}", now=moment)
    authentication.require(principal, Scope.EVENTS_WRITE)
    with pytest.raises(Forbidden) as refused:
        authentication.require(principal, Scope.KEYS_MANAGE)
    assert refused.value.code == "missing_scope"
    assert "keys:manage" in refused.value.hint


def test_a_token_may_do_what_its_key_may_and_no_more(acme: Customer, moment: datetime) -> None:
    narrow = api_keys.issue(acme, "sender", at=moment, scopes=["events:write"])
    assert authenticate(f"Bearer {token_of(narrow, moment)}", now=moment).scopes == {"events:write"}


def test_a_plugins_token_proves_nobody_where_customers_are_asked(issued: Issued, moment: datetime) -> None:
    header = f"Bearer {plugin_token_of(issued, moment)}"
    assert code_of(header, moment) == "invalid_token"
    assert authenticate_sender(header, now=moment).plugin == "api-logger"
    assert code_of(header, moment + SECOND) == "invalid_token"  # its proof is remembered now


def test_a_plugins_proof_is_narrower_and_remembered_apart_from_its_customers(issued: Issued, moment: datetime) -> None:
    customer = authenticate_sender(f"Bearer {token_of(issued, moment)}", now=moment)
    header = f"Bearer {plugin_token_of(issued, moment)}"
    plugin = authenticate_sender(header, now=moment)
    assert replace(plugin, plugin="", scopes=customer.scopes) == customer
    assert set(plugin.scopes) == {Scope.EVENTS_WRITE}
    with CaptureQueriesContext(connection) as queries:
        assert authenticate_sender(header, now=moment + SECOND) is plugin
        assert authenticate_sender(f"Bearer {token_of(issued, moment)}", now=moment + SECOND) == customer
        assert authenticate(f"Bearer {issued.secret}", now=moment + SECOND) == customer
    assert len(queries) > 0


def test_a_feature_that_is_not_there_is_named_with_the_next_step(issued: Issued, moment: datetime) -> None:
    principal = authenticate(f"Bearer {issued.secret}", now=moment)
    authentication.require_feature(principal, "api_logging")
    with pytest.raises(Forbidden) as refused:
        authentication.require_feature(principal, "audit_export")
    assert (refused.value.code, refused.value.status) == ("feature_not_available", 403)
    assert "`audit_export`" in refused.value.message and refused.value.hint
