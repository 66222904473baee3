"""An author sees everything about their own submissions, nothing of others', and may withdraw and appeal."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from core.clock import now
from customers import accounts
from customers.models import Member
from plugins_registry import review
from plugins_registry.lifecycle import Action
from plugins_registry.models import Appeal, Revision
from tests.plugins_registry.console.conftest import Browser
from tests.plugins_registry.console.world import World, manifest

LIST = "/app/plugins/submissions"
HOSTILE = "<script>alert(1)</script>"


def page(client: Client, path: str = "") -> str:
    response = client.get(LIST + path)
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def author(world: World, browser: Browser) -> Client:
    return browser(world.carl)


@pytest.fixture
def rejected(world: World) -> Revision:
    revision = world.to_review(world.revision())
    review.decide(revision, "security", world.ann, "reject", "secrets", f"A key in line 5. {HOSTILE}", at=now())
    return revision


def test_the_list_tells_the_place_in_the_queue_and_the_median_wait(
    world: World, author: Client, rejected: Revision
) -> None:
    world.to_review(world.revision(manifest("first")))
    second = world.to_review(world.revision(manifest("second")))
    shown = page(author)
    assert "The median wait for a first decision is" in shown
    assert '<span class="unit">place </span>2' in shown
    assert "slow-tools" in shown
    assert ">2</dd>" in page(author, f"/{second.public_id}")


def test_every_finding_and_decision_is_shown_escaped_and_no_reviewer(
    world: World, author: Client, rejected: Revision
) -> None:
    world.finding(rejected)
    world.finding(rejected, rule="KM201", severity="low", message=HOSTILE, file=f"{HOSTILE}.py", fingerprint="1" * 64)
    shown = page(author, f"/{rejected.public_id}")
    for words in ("B307", "KM201", "main.py:6", "use ast.literal_eval", "it holds a key or a password", "not run"):
        assert words in shown
    assert HOSTILE not in shown
    assert "&lt;script&gt;" in shown
    assert not re.search(r"\bann\b", shown)


def test_an_author_appeals_once_at_a_time(world: World, author: Client, rejected: Revision) -> None:
    act = f"{LIST}/{rejected.public_id}/appeal"
    assert author.post(act, {"text": " "}).status_code == 400
    assert author.post(act, {"text": f"It is an example. {HOSTILE}"}).status_code == 302
    assert author.post(act, {"text": "again"}).status_code == 400
    assert Appeal.objects.get().actor == "user:carl"
    shown = page(author, f"/{rejected.public_id}")
    assert HOSTILE not in shown
    assert "Appeal</button>" not in shown


def test_an_author_withdraws_what_is_not_built(world: World, author: Client) -> None:
    revision = world.to_review(world.revision())
    assert "Withdraw</button>" in page(author, f"/{revision.public_id}")
    assert author.post(f"{LIST}/{revision.public_id}/withdraw").status_code == 302
    revision.refresh_from_db()
    assert revision.state == "withdrawn"
    assert author.post(f"{LIST}/{revision.public_id}/withdraw").status_code == 409


def test_what_is_published_is_not_withdrawn(world: World, author: Client) -> None:
    revision = world.published()
    assert "Withdraw</button>" not in page(author, f"/{revision.public_id}")
    assert author.post(f"{LIST}/{revision.public_id}/withdraw").status_code == 409


def test_another_organisations_submission_is_not_there(world: World, browser: Browser, rejected: Revision) -> None:
    globex = accounts.create_customer("Globex", "enterprise", at=now())
    Member.objects.create(customer=globex, user=world.ann, role=Member.Role.OWNER)
    stranger = browser(world.ann)
    assert "slow-tools" not in page(stranger)
    assert stranger.get(f"{LIST}/{rejected.public_id}").status_code == 404
    for act in ("withdraw", "appeal"):
        assert stranger.post(f"{LIST}/{rejected.public_id}/{act}", {"text": "x"}).status_code == 404
    assert Client().get(LIST).status_code == 302
    assert Client().post(f"{LIST}/{rejected.public_id}/withdraw").status_code == 302


def test_a_viewer_sees_and_does_nothing(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    viewer = world.reviewer("vera")
    Member.objects.create(customer=world.acme, user=viewer, role=Member.Role.VIEWER)
    client = browser(viewer)
    assert "Withdraw</button>" not in page(client, f"/{revision.public_id}")
    assert client.post(f"{LIST}/{revision.public_id}/withdraw").status_code == 403
    revision.refresh_from_db()
    assert revision.state == "security_review"


def test_a_form_of_another_site_withdraws_nothing(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    address = f"{LIST}/{revision.public_id}/withdraw"
    assert browser(world.carl, csrf=True).post(address).status_code == 403
    assert browser(world.carl).get(address).status_code == 405
    assert Action.WITHDRAW.value not in {change.action for change in revision.changes.all()}
