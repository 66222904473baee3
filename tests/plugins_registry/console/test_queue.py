"""The review queue shows who waits, oldest first, to those who have a duty there and to nobody else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core.clock import now
from plugins_registry.lifecycle import Action
from plugins_registry.models import Revision
from tests.plugins_registry.console.conftest import Browser
from tests.plugins_registry.console.world import World, manifest

QUEUE = "/admin/plugins_registry/revision/"


def page(client: Client, address: str = QUEUE) -> str:
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
    return response.content.decode()


def test_the_oldest_waits_on_top(world: World, browser: Browser) -> None:
    for name, hours in (("second", 5), ("first", 30), ("third", 0)):
        world.to_review(world.revision(manifest(name), at=now() - timedelta(hours=hours)))
    shown = page(browser(world.ann))
    assert shown.index("first 1.2.0") < shown.index("second 1.2.0") < shown.index("third 1.2.0")
    assert "1 d 6 h" in shown
    assert "5 h 00 min" in shown


def test_only_what_waits_for_a_review_is_in_the_queue(world: World, browser: Browser) -> None:
    world.to_review(world.revision(manifest("waiting")))
    world.published(world.revision(manifest("shelved")))
    world.walk(world.revision(manifest("stuck")), Action.SUBMIT, Action.VALIDATE, Action.FAIL_SCAN)
    queue = page(browser(world.ann))
    assert "waiting 1.2.0" in queue
    assert "shelved" not in queue
    assert "stuck" not in queue
    assert "stuck 1.2.0" in page(browser(world.ann), f"{QUEUE}?stage=scan_errors")
    everything = page(browser(world.ann), f"{QUEUE}?stage=all")
    assert all(name in everything for name in ("waiting 1.2.0", "shelved 1.2.0", "stuck 1.2.0"))


def test_widened_permissions_and_grave_findings_are_marked(world: World, browser: Browser) -> None:
    world.published(world.revision(manifest(version="1.0.0")))
    wide = {"network": True, "filesystem": False, "system": False}
    revision = world.to_review(world.revision(manifest(version="1.1.0", permissions=wide)))
    world.finding(revision)
    world.finding(revision, rule="B404", severity="low", fingerprint="0" * 64)
    shown = page(browser(world.ann))
    assert '<span class="km-badge bad">network +</span>' in shown
    assert "2, 1 serious" in shown


def test_an_open_appeal_has_a_stage_of_its_own(world: World, browser: Browser) -> None:
    revision = world.walk(world.to_review(world.revision()), Action.REJECT)
    assert "slow-tools" not in page(browser(world.ann), f"{QUEUE}?stage=appeals")
    revision.appeals.create(text="It is an example.", actor="user:x", at=now())
    assert "slow-tools 1.2.0" in page(browser(world.ann), f"{QUEUE}?stage=appeals")


def test_strangers_members_and_staff_without_a_duty_see_nothing(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    address = f"{QUEUE}{revision.pk}/change/"
    member, clerk = User.objects.create_user("member"), User.objects.create_user("clerk", is_staff=True)
    assert Client().get(address).status_code == 302
    assert browser(member).get(address).status_code == 302
    assert browser(clerk).get(address).status_code == 403
    assert browser(clerk).get(QUEUE).status_code == 403
    assert browser(world.reviewer("sec", "review_security")).get(address).status_code == 200


@pytest.mark.parametrize("address", ["add/", "{pk}/delete/", "{pk}/history/"])
def test_nothing_is_added_or_deleted_by_hand(world: World, browser: Browser, address: str) -> None:
    revision = world.to_review(world.revision())
    client = browser(User.objects.create_superuser("root"))
    client.post(QUEUE + address.format(pk=revision.pk), {"post": "yes"})
    assert Revision.objects.count() == 1


def test_an_unknown_revision_is_not_found(world: World, browser: Browser) -> None:
    assert browser(world.ann).get(f"{QUEUE}999/change/").status_code in {302, 404}
