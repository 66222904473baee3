"""Who belongs to no customer, and who belongs to none any more: every address of a customer's is closed to them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from alerts import wakeup
from customers.models import Customer, Member
from dashboard import boundary
from tests.dashboard.addresses import NOBODYS, filled, pieces, routes
from tests.dashboard.elsewhere import Everything, everything_of
from tests.dashboard.test_roles import OPEN, gate
from tests.plugins_registry.console.world import World
from tests.plugins_registry.storing import moved


@pytest.fixture
def ours(db: None, customer: Customer, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Everything:
    moved(monkeypatch, tmp_path / "registry")
    monkeypatch.setattr(wakeup, "_send", lambda: None)
    return everything_of(customer, World(), word="ordinary", at=now)


def of_members(ours: Everything) -> list[str]:
    """The addresses that are a customer's, of things there are."""
    return [
        filled(written, ours.ids)
        for written, pattern in routes("app/")
        if pattern.name not in OPEN
        and set(pieces(written)) <= set(NOBODYS)
        and not written.startswith("app/account/")
        and gate(str(pattern.name)) is boundary._as_member
    ]


@pytest.mark.parametrize("who", ["never", "no more"])
def test_every_page_and_act_is_403_and_shows_nothing(who: str, ours: Everything) -> None:
    browser = Client()
    if who == "never":
        browser.force_login(User.objects.create_user("lost@example.com"))
    else:
        browser.force_login(ours.boss.user)
        assert browser.get("/app/events").status_code == 200
        Member.objects.filter(pk=ours.boss.pk).delete()
    tried = 0
    for path in of_members(ours):
        for answer in (browser.get(path), browser.post(path, {"name": "x"})):
            assert answer.status_code in {403, 405}, path
            assert "ordinary" not in answer.content.decode().replace(path, "")
            tried += answer.status_code == 403
    assert tried > 70
