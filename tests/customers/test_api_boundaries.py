"""Every address under /api: which credentials it takes, and that another customer's ids in it are ids that never were.

The addresses are the resolver's. A new one fails here until the table says who may call it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from alerts import wakeup
from core.clock import now
from customers import api_keys, tokens
from customers.models import ApiKey, Customer, Machine
from customers.queries import entitlement_of
from customers.scopes import Scope
from events.models import Event
from plugins_registry.models import Revision
from tests.dashboard.addresses import NOBODYS, filled, pieces, routes
from tests.dashboard.elsewhere import Everything, everything_of
from tests.dashboard.traffic import Talk
from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved

WORD = "zanzibar"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ANYBODY, ANY_KEY, REVIEWER = "anybody", "any key", "a reviewer's signature"
PLUGINS_OWN = "api/events"  # where a plugin's own token sends to, and nowhere else
TAKES: dict[tuple[str, str], str] = {
    ("POST", "api/auth/exchange"): ANYBODY,
    ("POST", "api/auth/device-code/start"): ANYBODY,
    ("POST", "api/auth/device-code/poll"): ANYBODY,  # the body holds the device's code
    ("POST", "api/auth/logout"): ANY_KEY,
    ("POST", "api/keys/report-leak"): ANYBODY,
    ("GET", "api/tuf/catalog/<path:path>"): ANYBODY,
    ("GET", "api/schema"): ANYBODY,
    ("GET", "api/docs"): ANYBODY,
    ("GET", "api/customer"): ANY_KEY,
    ("GET", "api/subscription/status"): ANY_KEY,
    ("POST", "api/machines"): ANY_KEY,
    ("GET", "api/tuf/director/<str:customer>/<path:path>"): ANY_KEY,
    ("POST", "api/plugins/provision"): ANY_KEY,
    ("POST", "api/plugins/authenticate"): ANY_KEY,
    ("POST", "api/plugins/validate"): ANY_KEY,
    ("GET", "api/keys"): Scope.KEYS_MANAGE,
    ("POST", "api/keys"): Scope.KEYS_MANAGE,
    ("DELETE", "api/keys/<str:key_id>"): Scope.KEYS_MANAGE,
    ("POST", "api/keys/<str:key_id>/rotate"): Scope.KEYS_MANAGE,
    ("GET", "api/registry/submissions"): Scope.PLUGINS_SUBMIT,
    ("POST", "api/registry/submissions"): Scope.PLUGINS_SUBMIT,
    ("GET", "api/registry/submissions/<str:revision_id>"): Scope.PLUGINS_SUBMIT,
    ("GET", "api/registry/submissions/<str:revision_id>/diff"): Scope.PLUGINS_SUBMIT,
    ("POST", "api/registry/submissions/<str:revision_id>/withdraw"): Scope.PLUGINS_SUBMIT,
    ("POST", "api/registry/submissions/<str:revision_id>/appeal"): Scope.PLUGINS_SUBMIT,
    ("POST", "api/events"): Scope.EVENTS_WRITE,
    ("POST", "api/events/batch"): Scope.EVENTS_WRITE,
    ("POST", "api/events/telemetry"): Scope.EVENTS_WRITE,
    ("GET", "api/activity"): Scope.EVENTS_READ,
    ("GET", "api/stats"): Scope.EVENTS_READ,
    ("POST", "api/review/keys"): ANYBODY,  # the body holds the console's challenge, signed
    ("GET", "api/review/revisions"): REVIEWER,
    ("GET", "api/review/revisions/<str:public_id>"): REVIEWER,
    ("GET", "api/review/revisions/<str:public_id>/payloads/<str:platform>"): REVIEWER,
    ("POST", "api/review/revisions/<str:public_id>/approvals"): REVIEWER,
    ("GET", "api/review/releases"): REVIEWER,
    ("POST", "api/review/releases"): REVIEWER,
}
SHARED = {  # what every customer is answered the same, by a path or id that is nobody's
    ("GET", "api/tuf/catalog/<path:path>"),
    *(key for key, takes in TAKES.items() if takes == REVIEWER),
}
WITH_IDS = sorted(key for key in TAKES if "<" in key[1] and key not in SHARED)
REVIEWED = {"revisions/<str:public_id>": "rev_0", "payloads/<str:platform>": "any", "catalog/<path:path>": "root.json"}


@pytest.fixture
def world(db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    moved(monkeypatch, tmp_path / "registry")
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    return World()


@pytest.fixture
def theirs(world: World, globex: Customer) -> Everything:
    return everything_of(globex, world, word=WORD, at=now())


@pytest.fixture
def ours(world: World, acme: Customer) -> Everything:
    return everything_of(acme, world, word="ordinary", at=now())


def key_with(customer: Customer, *scopes: str) -> str:
    return api_keys.issue(customer, "test", at=now(), scopes=scopes).secret


def called(client: Client, method: str, path: str, secret: str = "", body: Any = None) -> tuple[int, str]:
    """Status and body, without the request's own id."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    sent = b"" if body is None else json.dumps(body).encode()
    answer = client.generic(method, path, sent, content_type="application/json", headers=headers)
    content = b"".join(answer) if answer.streaming else answer.content
    return answer.status_code, content.decode("utf-8", "replace")


def methods_of(pattern: Any) -> Iterator[str]:
    view = getattr(pattern.callback, "cls", None)
    assert view is not None, f"{pattern}: an address under /api is an APIView"
    return (method for method in METHODS if hasattr(view, method.lower()))


def test_the_table_has_every_address_and_method() -> None:
    assert {(method, written) for written, pattern in routes("api/") for method in methods_of(pattern)} == set(TAKES)


@pytest.mark.parametrize("scope", ["", *Scope.values, "revoked", "plugin"])
def test_each_credential_opens_what_the_table_says_and_nothing_else(
    scope: str, client: Client, acme: Customer, ours: Everything
) -> None:
    """With a body that is refused, so that nothing is done: past the gate is 400 or 404, before it 401 or 403."""
    wrong = []
    for (method, written), takes in TAKES.items():
        if scope == "":
            secret, opens = "", takes == ANYBODY
        elif scope == "revoked":
            secret, opens = key_with(acme, *Scope.values), takes == ANYBODY
            api_keys.revoke(ApiKey.objects.latest("id"), at=now())
        elif scope == "plugin":
            issued = api_keys.issue(acme, "host", at=now(), scopes=Scope.values)
            entitlement = entitlement_of(acme, at=now())
            minted = tokens.mint_plugin_token(issued.key, entitlement, plugin="x", version="1.0.0", at=now())
            secret, opens = minted.token, takes == ANYBODY or written == PLUGINS_OWN
        else:
            secret, opens = key_with(acme, scope), takes in {ANYBODY, ANY_KEY, scope}
        path = filled(written, ours.ids | dict(NOBODYS) | REVIEWED | {"director/<str:customer>": acme.public_id})
        status, _ = called(client, method, path, secret, {"nothing": "of use"} if method == "POST" else None)
        if (status in {401, 403}) is opens or (status >= 500 and status != 503):
            wrong.append((method, written, status))
        ApiKey.objects.filter(customer=acme).update(revoked_at=now())
    assert wrong == []


def test_another_customers_id_is_an_id_that_never_was(
    client: Client, acme: Customer, ours: Everything, theirs: Everything
) -> None:
    secret, body = key_with(acme, *Scope.values), {"text": "please"}
    before = [*ApiKey.objects.values("pk", "revoked_at", "replaced_by"), *Revision.objects.values("pk", "state")]
    for method, written in WITH_IDS:
        holes = pieces(written)
        for foreign in product([True, False], repeat=len(holes)):
            if not any(foreign):
                continue
            told = []
            for others in (theirs.ids, NOBODYS):
                ids = {hole: (others if other else ours.ids)[hole] for hole, other in zip(holes, foreign, strict=True)}
                status, answer = called(client, method, filled(written, ids), secret, body)
                for value in ids.values():
                    answer = answer.replace(str(value), "·")
                told.append((status, answer))
            assert told[0] == told[1], (method, written)
            assert told[0][0] == 404 or not foreign[0], (method, written)
    after = [*ApiKey.objects.values("pk", "revoked_at", "replaced_by"), *Revision.objects.values("pk", "state")]
    assert after == before


def test_another_customers_words_find_what_any_other_find(client: Client, acme: Customer, theirs: Everything) -> None:
    secret = key_with(acme, *Scope.values)
    for path, words in [
        ("activity?session", f"s {WORD}"),
        ("activity?server", f"server {WORD}"),
        ("activity?tool", f"tool {WORD}"),
        ("registry/submissions?plugin", f"plugin-{theirs.customer.pk}"),
    ]:
        found = [called(client, "GET", f"/api/{path}={each}", secret) for each in (words, "nobodys")]
        assert found[0] == found[1], path
        assert WORD not in found[0][1]
    name = f"plugin-{theirs.customer.pk}"
    for asked in (
        lambda plugin: ("plugins/authenticate", {"plugin_name": plugin, "plugin_version": "1.2.0"}),
        lambda plugin: ("plugins/provision", {"platform": "linux-amd64", "installed": [plugin]}),
    ):
        told = []
        for plugin in (name, "plugin-nobody"):
            address, body = asked(plugin)
            status, answer = called(client, "POST", f"/api/{address}", secret, body)
            answer = re.sub(r'"(token|expires_at)":"[^"]+"', "", answer)
            told.append((status, answer.replace(plugin, "·")))
        assert told[0] == told[1]


def test_what_is_sent_under_another_customers_ids_changes_nothing_of_theirs(
    client: Client, acme: Customer, theirs: Everything
) -> None:
    secret, machine = key_with(acme, *Scope.values), Machine.objects.get(customer=theirs.customer)
    called(client, "POST", "/api/machines", secret, {"machine": machine.machine, "name": "mine now"})
    machine.refresh_from_db()
    assert WORD in machine.name
    stored = list(Event.objects.filter(customer_id=theirs.customer.pk).order_by("id").values())
    mine = Talk(f"s {WORD}", started_at=stored[0]["timestamp"])
    mine.notify("n/mine")["id"] = str(theirs.ids["events/<uuid:event_id>"])
    mine.store(acme)
    assert list(Event.objects.filter(customer_id=theirs.customer.pk).order_by("id").values()) == stored
    assert [each.method for each in Event.objects.filter(customer_id=acme.pk)] == ["n/mine"]
