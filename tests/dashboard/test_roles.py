"""Each role tried on each address of /app, and the answer compared with the one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from customers import accounts, api_keys, invitations, members
from customers.models import ApiKey, Customer, Invitation, Member
from customers.permissions import ROLES, permissions_of
from dashboard import boundary
from dashboard.permits import NEEDS, needed
from tests.dashboard.conftest import PASSWORD

OPEN = {"login", "logout", "theme", "join", "join_followed", "sign_up", "settings", "account"}
"""What has no gate: the way in and out, the colours, and addresses that only lead to another."""


def routes(patterns: list[Any] | None = None) -> Iterator[URLPattern]:
    """Every address of the room."""
    if patterns is None:
        resolvers = [each for each in get_resolver().url_patterns if isinstance(each, URLResolver)]
        patterns = next(each for each in resolvers if each.namespace == "dashboard").url_patterns
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns)
        else:
            yield pattern


GATED = sorted({str(each.name) for each in routes()} - OPEN)


def gate(name: str) -> Any:
    view: Any = next(each.callback for each in routes() if each.name == name)
    while not hasattr(view, "let_in"):
        assert hasattr(view, "__wrapped__"), f"`{name}` has no gate: decorate its view (dashboard.boundary)"
        view = view.__wrapped__
    return view.let_in


def address(name: str) -> str:
    """The route with ids that no row has."""
    pattern = next(each for each in routes() if each.name == name)
    values = {"event_id": UUID(int=7), "member_id": 10**6}
    parts = {part: values.get(part) for part in pattern.pattern.converters}
    texts = {part: ("7" if value is None else value) for part, value in parts.items()}
    return reverse(f"dashboard:{name}", kwargs=texts)


def test_every_address_has_a_gate_or_is_known_to_need_none() -> None:
    assert set(GATED) | OPEN == {str(each.name) for each in routes()}
    for name in GATED:
        gate(name)


def test_the_table_names_only_addresses_that_are_there() -> None:
    assert set(NEEDS) <= set(GATED)


def test_an_act_nobody_listed_is_refused_to_everybody() -> None:
    with pytest.raises(ImproperlyConfigured, match="rename_everything"):
        needed("rename_everything", acts=True)


@pytest.mark.parametrize("role", list(ROLES))
def test_each_role_is_let_to_what_the_table_says_and_no_further(
    role: str, customer: Customer, sign_in: Callable[..., Client]
) -> None:
    browser = sign_in(customer, role)
    wrong = []
    of_members = [each for each in GATED if gate(each) is boundary._as_member]
    for name in sorted(of_members, key=lambda each: each == "member_leave"):  # last: it ends what the others stand on
        path = address(name)
        acts = browser.get(path).status_code == 405
        status = (browser.post(path) if acts else browser.get(path)).status_code
        allowed = needed(name, acts=acts) in permissions_of(role)
        if (status == 403) is allowed or status >= 500:
            wrong.append((name, status))
    assert wrong == []


@pytest.fixture
def theirs(stranger: Customer, now: datetime) -> dict[str, list[object]]:
    """What another customer has: a member, an invitation, a key; by the route that would change it."""
    boss = accounts.add_member(stranger, "boss@else.example", PASSWORD, "owner", at=now)
    invited = invitations.invite(stranger, "new@else.example", "viewer", by=boss, at=now).invitation.public_id
    key = api_keys.issue(stranger, "theirs", at=now).key.public_id
    return {
        "member_role": [boss.pk],
        "member_remove": [boss.pk],
        "invitation_resend": [invited],
        "invitation_revoke": [invited],
        "key_rotate": [key],
        "key_revoke": [key],
    }


def test_another_customers_things_are_absent_in_every_act(
    theirs: dict[str, list[object]], browser: Client, stranger: Customer
) -> None:
    for name, parts in theirs.items():
        answer = browser.post(reverse(f"dashboard:{name}", args=parts), {"role": "viewer"})
        assert answer.status_code == 404, name
    assert Member.objects.get(customer=stranger).role == "owner"
    assert Invitation.objects.get(customer=stranger).revoked_at is None
    assert ApiKey.objects.get(customer=stranger).revoked_at is None


def test_a_viewers_acts_on_what_is_their_own_are_403_and_change_nothing(
    customer: Customer, sign_in: Callable[..., Client], now: datetime
) -> None:
    key = api_keys.issue(customer, "ours", at=now).key
    answer = sign_in(customer, "viewer").post(reverse("dashboard:key_revoke", args=[key.public_id]))
    assert answer.status_code == 403
    assert "may not" in answer.content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_session_cookie_opens_no_api(customer: Customer, sign_in: Callable[..., Client]) -> None:
    """Roles are for pages: an address under /api takes a key, whose scopes say what it may."""
    owner = sign_in(customer, "owner")
    for path in ("/api/keys", "/api/customer", "/api/activity", "/api/stats"):
        assert owner.get(path).status_code == 401, path


class TestAPersonOfSeveralCustomers:
    @pytest.fixture
    def ann(self, customer: Customer, stranger: Customer, now: datetime) -> Client:
        """Owner of one, viewer of the other."""
        member = accounts.add_member(customer, "ann@acme.example", PASSWORD, "owner", at=now)
        Member.objects.create(customer=stranger, user=member.user, role="viewer", created_at=now)
        browser = Client()
        browser.force_login(member.user)
        return browser

    def test_sees_the_one_they_chose_with_the_role_they_have_there(self, ann: Client, stranger: Customer) -> None:
        assert "Issue the key" in ann.get("/app/settings/keys").content.decode()
        ann.post("/app/settings/organisation", {"customer": stranger.public_id})
        page = ann.get("/app/settings/keys").content.decode()
        assert "Somebody Else" in page
        assert "Issue the key" not in page
        assert ann.post("/app/settings/keys/issue", {"name": "x", "scope": "events:read"}).status_code == 403

    def test_switches_in_the_bar_of_every_page_and_nobody_of_one_does(
        self, ann: Client, stranger: Customer, sign_in: Callable[..., Client], django_assert_num_queries: Any
    ) -> None:
        for path in ("", "sessions", "plugins", "alerts", "settings/members"):
            page = ann.get(f"/app/{path}").content.decode()
            assert 'popovertarget="organisations"' in page
            assert f'value="{stranger.public_id}"' in page
        alone = sign_in(stranger)
        assert "organisations" not in alone.get("/app/settings/usage").content.decode()
        with CaptureQueriesContext(connection) as asked:
            alone.get("/app/settings/usage")
        with django_assert_num_queries(len(asked)):  # the bar asks for nothing that the gate has not
            ann.get("/app/settings/usage")

    def test_switches_only_by_a_form_with_its_token(self, ann: Client, stranger: Customer) -> None:
        assert ann.get("/app/settings/organisation", {"customer": stranger.public_id}).status_code == 405
        ann.handler.enforce_csrf_checks = True
        assert ann.post("/app/settings/organisation", {"customer": stranger.public_id}).status_code == 403
        assert "Acme Robotics" in ann.get("/app/settings/usage").content.decode()

    def test_cannot_choose_one_they_do_not_belong_to(self, ann: Client, now: datetime) -> None:
        other = accounts.create_customer("Third", "pro", at=now)
        for wanted in (other.public_id, "", "cus_nobody"):
            assert ann.post("/app/settings/organisation", {"customer": wanted}).status_code == 404

    def test_falls_back_when_they_are_removed_from_the_chosen_one(self, ann: Client, stranger: Customer) -> None:
        ann.post("/app/settings/organisation", {"customer": stranger.public_id})
        Member.objects.filter(customer=stranger).delete()
        assert "Acme Robotics" in ann.get("/app/settings/keys").content.decode()


def test_a_removed_member_is_out_at_once(customer: Customer, sign_in: Callable[..., Client], now: datetime) -> None:
    owner = accounts.add_member(customer, "boss@acme.example", PASSWORD, "owner", at=now)
    browser = sign_in(customer, "admin")
    assert browser.get("/app/settings/members").status_code == 200
    admin = Member.objects.get(customer=customer, role="admin")
    members.remove(customer, admin.pk, by=owner, at=now)
    assert browser.get("/app/settings/members").status_code == 403


@pytest.mark.parametrize("path", ["members", "keys", "usage", "audit", "audit?verify=1"])
def test_the_pages_ask_as_many_questions_for_a_hundred_rows_as_for_one(
    path: str, customer: Customer, browser: Client, now: datetime, django_assert_max_num_queries: Any
) -> None:
    owner = Member.objects.get(customer=customer)
    for number in range(30):
        api_keys.issue(customer, f"key {number}", at=now)
        invitations.invite(customer, f"p{number}@acme.example", "viewer", by=owner, at=now)
        accounts.add_member(customer, f"m{number}@acme.example", PASSWORD, "viewer", at=now)
    with django_assert_max_num_queries(11):
        assert browser.get(f"/app/settings/{path}").status_code == 200


def test_hostile_words_in_names_and_filters_stay_words(customer: Customer, browser: Client, now: datetime) -> None:
    hostile = "<script>alert(1)</script>"
    Customer.objects.filter(pk=customer.pk).update(name=hostile)
    api_keys.issue(customer, hostile, at=now)
    for path in ("security", "members", "keys", "usage", "audit", f"audit?action={hostile}&actor={hostile}"):
        page = browser.get(f"/app/settings/{path}").content.decode()
        assert "<script>alert" not in page, path
        assert " style=" not in page
