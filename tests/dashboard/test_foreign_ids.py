"""Another customer's id, in every address under /app, is what an id that never was is: 404, and the same answer.

The addresses are those of the resolver: a new one is tried as soon as it is there, and fails here until
`tests.dashboard.elsewhere` has something of it that is another customer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import product
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.core import mail, serializers
from django.db import transaction
from django.test import Client
from django.utils.html import escape

from alerts import wakeup
from customers.models import Customer, Member
from plugins_registry.models import Plugin, Revision
from tests.dashboard.addresses import NOBODYS, filled, pieces, routes
from tests.dashboard.elsewhere import Everything, everything_of
from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved

WORD = "zanzibar"
LINKS = {  # a piece is a secret of a letter's or an issuer's name, and no id
    "app/join/<str:token>",
    "app/account/sso/<str:provider_id>/",
    "app/account/sso/<str:provider_id>/callback/",
    "app/account/^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
}
WITH_IDS = sorted(written for written, _ in routes("app/") if "<" in written and written not in LINKS)
OF_THE_REQUEST = {"X-Request-ID", "Expires", "Content-Length"}  # a length counts the id that was asked for
BODY = {"role": "viewer", "text": "x", "name": "x", "minutes": "60", "on": "1", "kind": "errors"}


@pytest.fixture
def world(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    moved(monkeypatch, tmp_path / "registry")
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    return World()


@pytest.fixture
def theirs(world: World, stranger: Customer, now: datetime) -> Everything:
    return everything_of(stranger, world, word=WORD, at=now)


@pytest.fixture
def ours(world: World, customer: Customer, now: datetime) -> Everything:
    return everything_of(customer, world, word="ordinary", at=now)


@pytest.fixture
def eve(ours: Everything) -> Client:
    """An owner of ours, whose password was asked for a moment ago."""
    browser = Client()
    browser.force_login(ours.boss.user)
    browser.post("/app/account/confirm/", {"password": ours.boss.user.email})
    return browser


def test_every_address_with_an_id_is_known_here() -> None:
    used = {piece for written in WITH_IDS for piece in pieces(written)}
    assert used <= set(NOBODYS), "add what is new to tests/dashboard/elsewhere.py"
    assert len(WITH_IDS) > 40


@contextmanager
def undone() -> Iterator[None]:
    """What is done within is as if it had not been."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def answered(browser: Client, method: str, path: str, *ids: object) -> tuple[int, str, dict[str, str]]:
    """Status, page and headers, without what differs between any two answers, and without the ids that were asked."""
    with undone():
        answer = browser.generic(method, path, urlencode(BODY), content_type="application/x-www-form-urlencoded")
        body = b"".join(answer) if answer.streaming else answer.content
    page = re.sub(r'(name="csrfmiddlewaretoken" value=")[^"]+', r"\1", body.decode())
    for known in (path, *(each for each in ids if isinstance(each, str))):
        page = page.replace(known, "·")
    headers = {name: value for name, value in answer.headers.items() if name not in OF_THE_REQUEST}
    return answer.status_code, page, headers


def mixtures(written: str, ours: Everything, theirs: Everything) -> Iterator[tuple[dict[str, object], ...]]:
    """Every way to have an id of theirs in the route, beside the same with an id that never was."""
    holes = pieces(written)
    for foreign in product([True, False], repeat=len(holes)):
        if any(foreign):
            yield tuple(
                {
                    hole: ids[hole] if is_theirs else ours.ids[hole]
                    for hole, is_theirs in zip(holes, foreign, strict=True)
                }
                for ids in (theirs.ids, NOBODYS)
            )


def rows_of(customer: Customer) -> dict[str, str]:
    """What the database has of a customer, by table, its audit log included."""
    found = {}
    for model in apps.get_models():
        named = {each.name for each in model._meta.get_fields()} & {"customer", "customer_id", "customer_public_id"}
        of_whom = {"customer": customer, "customer_id": customer.pk, "customer_public_id": customer.public_id}
        for name in named:
            rows = model._default_manager.filter(**{name: of_whom[name]}).order_by("pk")
            found[f"{model.__name__}.{name}"] = serializers.serialize("json", rows)
    people = Member.objects.filter(customer=customer).values("user")
    for model in (UserSession, Authenticator):
        found[model.__name__] = serializers.serialize("json", model.objects.filter(user__in=people).order_by("pk"))
    revisions = Revision.objects.filter(version__plugin__owner=customer).order_by("pk")
    return found | {"Revision": serializers.serialize("json", revisions)}


def test_another_customers_id_is_an_id_that_never_was(eve: Client, ours: Everything, theirs: Everything) -> None:
    before, tried = rows_of(theirs.customer), 0
    for written in WITH_IDS:
        for foreign, nobodys in mixtures(written, ours, theirs):
            for method in ("GET", "POST"):
                told = answered(eve, method, filled(written, foreign), *foreign.values())
                assert told == answered(eve, method, filled(written, nobodys), *nobodys.values()), (method, written)
                assert told[0] in {404, 405}, (method, written)
                assert WORD not in str(told)
                tried += told[0] == 404
    assert tried > len(WITH_IDS)
    assert rows_of(theirs.customer) == before
    assert not mail.outbox


def test_and_ones_own_is_there(eve: Client, ours: Everything) -> None:
    """What the test above compares is not one refusal of everything."""
    for written in WITH_IDS:
        path = filled(written, ours.ids)
        statuses = [answered(eve, method, path)[0] for method in ("GET", "POST")]
        assert set(statuses) <= {200, 204, 302, 400, 405, 409}, (written, statuses)
        assert statuses != [405, 405], written


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *[("/app/events", name) for name in ("session", "server", "tool", "method")],
        *[("/app/live/events", "session"), ("/app/sessions", "server"), ("/app/live/sessions", "server")],
        *[("/app/events/export.csv", "session"), ("/app/events/export.jsonl", "tool"), ("/app/tools", "server")],
        *[("/app/tools/server", "name"), ("/app/settings/audit", "actor"), ("/app/plugins", "q")],
    ],
)
def test_another_customers_name_behind_the_question_mark_finds_what_any_other_finds(
    path: str, name: str, eve: Client, theirs: Everything
) -> None:
    words = {
        "session": f"s {WORD}", "server": f"server {WORD}", "tool": f"tool {WORD}", "method": f"method/{WORD}",
        "name": f"server {WORD}", "actor": f"user:{theirs.boss.user.username}",
        "q": Plugin.objects.get(owner=theirs.customer).name,
    }  # fmt: skip
    found = []
    for word in (words[name], "of-nobody"):
        spelled = {each(word) for each in (str, quote, quote_plus, partial(quote, safe=""), escape)}
        status, page, headers = answered(eve, "GET", f"{path}?{urlencode({name: word})}", *spelled)
        found.append(
            (status, re.sub(r'"[0-9a-f]{16}"|[Tt]ime="[^"]+"|[\d.]+ ms|just now|\d+ s ago', "", page), headers)
        )
    assert found[0] == found[1]


def test_another_customers_id_in_a_form_is_refused_as_one_that_never_was(
    eve: Client, ours: Everything, theirs: Everything
) -> None:
    before = rows_of(theirs.customer)
    for path, field, piece, more in [
        ("alerts/rules/add", "destination", "destinations/<str:public_id>", {"kind": "errors", "name": "x"}),
        ("alerts/rules/preview", "destination", "destinations/<str:public_id>", {"kind": "errors"}),
        ("alerts/rules/preview", "rule", "rules/<str:public_id>", {"kind": "errors"}),
        ("alerts/destinations/add-email", "member", "members/<int:member_id>", {"name": "x"}),
        ("settings/organisation", "customer", "director/<str:customer>", {}),
    ]:
        told = []
        for value in (theirs.ids[piece], NOBODYS[piece]):
            with undone():
                answer = eve.post(f"/app/{path}", {field: str(value), **more}, follow=True)
            assert WORD not in answer.content.decode(), path
            page = re.sub(r'(name="csrfmiddlewaretoken" value=")[^"]+', "", answer.content.decode())
            told.append((answer.status_code, page.replace(str(value), "·") if isinstance(value, str) else page))
        assert told[0] == told[1], path
    assert eve.get("/app/tools/tool", {"server": "server ordinary", "name": "tool ordinary"}).status_code == 200
    compared = {"server": "server ordinary", "name": "tool ordinary"}
    for value in (theirs.ids["definitions/<int:definition_id>"], 10**9):
        assert eve.get("/app/tools/tool", {**compared, "compare": str(value)}).status_code == 404
    assert rows_of(theirs.customer) == before


def test_no_page_of_ours_has_a_word_of_theirs(eve: Client, ours: Everything, theirs: Everything) -> None:
    shown = 0
    for written, _ in routes("app/"):
        if written not in LINKS and "?P<" not in written:
            status, page, _ = answered(eve, "GET", filled(written, ours.ids))
            assert WORD not in page, written
            shown += status == 200
    assert shown > 40
