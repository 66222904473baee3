"""Who may look: members at their own customer's data, whatever their role; nobody else, and nothing lets on."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from core.throttling import FailureLimit
from customers.accounts import add_member
from customers.models import Customer, Member
from dashboard import login
from events import session_queries
from tests.dashboard.conftest import PASSWORD
from tests.dashboard.traffic import Talk

SESSION_PAGES = ["session", "session_live", "session_more"]
EVENT_PAGES = ["exchange", "exchange_opened", "message", "message_whole", "download"]
LONE_PAGES = ["event", "event_opened"]
OWN_PAGES = ["overview", "events", "events_live", "export_csv", "export_jsonl", "sessions", "sessions_live"]
OWN_PAGES += ["usage", "keys", "first_event", "components"]


def address(name: str, session_id: str, event: UUID | str) -> str:
    if name in EVENT_PAGES:
        return reverse(f"dashboard:{name}", args=[session_id, event])
    if name in LONE_PAGES:
        return reverse(f"dashboard:{name}", args=[event])
    return reverse(f"dashboard:{name}", args=[session_id] if name in SESSION_PAGES else [])


@pytest.fixture
def recorded(customer: Customer, talk: Talk) -> str:
    """The id of a stored message of session `s-1`."""
    asked = talk.request("tools/call", {"name": "secret_tool"}, tool="secret_tool")
    talk.answer(asked, {"content": []})
    talk.store(customer)
    return str(asked["id"])


@pytest.mark.parametrize("name", SESSION_PAGES + EVENT_PAGES + LONE_PAGES + OWN_PAGES)
def test_a_member_of_any_role_may_read(
    name: str, recorded: str, customer: Customer, sign_in: Callable[..., Client]
) -> None:
    for role in Member.Role.values:
        assert sign_in(customer, role).get(address(name, "s-1", recorded)).status_code == 200


@pytest.mark.parametrize("name", SESSION_PAGES + EVENT_PAGES)
def test_another_customers_session_is_as_absent_as_one_that_never_was(
    name: str, recorded: str, stranger: Customer, sign_in: Callable[..., Client]
) -> None:
    outsider = sign_in(stranger)
    theirs = outsider.get(address(name, "s-1", recorded))
    nobodys = outsider.get(address(name, "s-2", recorded))
    assert theirs.status_code == nobodys.status_code == 404
    assert plain(theirs) == plain(nobodys)
    assert "secret_tool" not in theirs.content.decode()


@pytest.mark.parametrize("name", LONE_PAGES)
def test_another_customers_event_is_as_absent_as_one_that_never_was(
    name: str, recorded: str, stranger: Customer, sign_in: Callable[..., Client]
) -> None:
    outsider = sign_in(stranger)
    theirs, nobodys = outsider.get(address(name, "", recorded)), outsider.get(address(name, "", UUID(int=7)))
    assert theirs.status_code == nobodys.status_code == 404
    assert plain(theirs) == plain(nobodys)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_another_customers_events_are_in_no_list_file_or_figure(
    form: str, recorded: str, stranger: Customer, sign_in: Callable[..., Client]
) -> None:
    outsider = sign_in(stranger)
    exported = outsider.get(f"/app/events/export.{form}", {"tool": "secret_tool"})
    assert b"secret_tool" not in b"".join(exported)
    for path in ("/app/", "/app/events", "/app/events?session=s-1", "/app/live/events", "/app/first-event"):
        assert "secret_tool" not in outsider.get(path).content.decode()


@pytest.mark.parametrize("name", EVENT_PAGES)
def test_a_message_is_found_only_under_its_own_session(
    name: str, recorded: str, customer: Customer, browser: Client, now: datetime
) -> None:
    other = Talk("s-2", started_at=now)
    other.request("tools/list")
    other.store(customer)
    assert browser.get(address(name, "s-2", recorded)).status_code == 404


def test_another_customers_sessions_are_not_listed(
    recorded: str, stranger: Customer, sign_in: Callable[..., Client]
) -> None:
    assert "s-1" not in sign_in(stranger).get("/app/").content.decode()


@pytest.mark.parametrize("name", SESSION_PAGES + EVENT_PAGES + LONE_PAGES + OWN_PAGES)
def test_a_stranger_is_sent_to_sign_in_and_back(name: str, recorded: str) -> None:
    path = address(name, "s-1", recorded)
    answer = Client().get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/app/login?next={path}")


def test_a_poll_after_the_sign_in_ended_gets_401_and_no_page_to_swap_in(recorded: str) -> None:
    answer = Client().get("/app/live/sessions", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize("name", SESSION_PAGES + EVENT_PAGES + LONE_PAGES + OWN_PAGES)
def test_pages_only_read(name: str, recorded: str, browser: Client) -> None:
    assert browser.post(address(name, "s-1", recorded)).status_code == 405


@pytest.mark.parametrize("name", SESSION_PAGES + EVENT_PAGES + LONE_PAGES + OWN_PAGES)
def test_no_page_may_be_kept_by_anyone(name: str, recorded: str, browser: Client) -> None:
    control = browser.get(address(name, "s-1", recorded)).headers["Cache-Control"]
    assert {"no-store", "private"} <= set(control.split(", "))


def test_someone_who_belongs_to_no_customer_is_told_what_to_do(db: None) -> None:
    user = get_user_model().objects.create_user("lost@example.com", password=PASSWORD)
    browser = Client()
    browser.force_login(user)
    answer = browser.get("/app/")
    assert answer.status_code == 403
    assert "Ask an owner" in answer.content.decode()


def test_a_broken_cursor_is_a_page_that_says_so(browser: Client, customer: Customer, recorded: str) -> None:
    for path in ("/app/sessions?before=%%%", "/app/events?before=WyJ4Il0", "/app/sessions/s-1?after=nonsense"):
        answer = browser.get(path)
        assert answer.status_code == 400
        assert "cursor" in answer.content.decode()


def test_a_database_that_is_away_is_a_503_that_says_when_to_come_back(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(session_queries, "sessions", away)
    answer = browser.get("/app/sessions")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "The database cannot be reached" in answer.content.decode()


class TestSigningIn:
    @pytest.fixture(autouse=True)
    def ann(self, customer: Customer, now: datetime) -> None:
        add_member(customer, "ann@acme.example", PASSWORD, "owner", at=now)

    @staticmethod
    def attempt(name: str = "ann@acme.example", password: str = PASSWORD, **more: str) -> Any:
        return Client().post("/app/login", {"username": name, "password": password, **more})

    def test_leads_to_the_sessions(self) -> None:
        answer = self.attempt("Ann@Acme.Example")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/app/")

    def test_leads_back_to_the_page_that_was_asked_for_but_to_no_other_site(self) -> None:
        assert self.attempt(next="/app/settings/usage").headers["Location"] == "/app/settings/usage"
        assert self.attempt(next="https://evil.example/").headers["Location"] == "/app/"

    def test_does_not_say_which_of_the_two_was_wrong(self) -> None:
        wrong_password = plain(self.attempt(password="wrong"))
        wrong_name = plain(self.attempt("bob@acme.example"))
        assert "do not belong together" in wrong_password
        assert wrong_password.replace("ann@", "bob@") == wrong_name

    def test_is_closed_after_too_many_wrong_passwords_even_to_the_right_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(login, "PER_ACCOUNT", FailureLimit("test-account", failures=2, window=login.WINDOW))
        self.attempt(password="wrong")
        self.attempt(password="wrong")
        refused = self.attempt()
        assert refused.status_code == 200
        assert "Too many tries" in refused.content.decode()

    def test_of_one_account_stays_open_while_another_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(login, "PER_ACCOUNT", FailureLimit("test-account", failures=1, window=login.WINDOW))
        self.attempt("mallory@example.com", "wrong")
        assert self.attempt().status_code == 302

    def test_guessing_many_names_closes_the_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(login, "PER_ADDRESS", FailureLimit("test-address", failures=3, window=login.WINDOW))
        for name in ("a@x.example", "b@x.example", "c@x.example"):
            self.attempt(name, "wrong")
        assert "Too many tries" in self.attempt().content.decode()

    def test_out_again_takes_a_post(self, browser: Client) -> None:
        assert browser.get("/app/logout").status_code == 405
        assert browser.post("/app/logout").headers["Location"] == "/app/login"
        assert browser.get("/app/").status_code == 302


def plain(answer: Any) -> str:
    """The page without what differs on every answer."""
    return re.sub(
        r'(name="csrfmiddlewaretoken" value=")[^"]+|(name="next" value=")[^"]+', r"\1\2", answer.content.decode()
    )
