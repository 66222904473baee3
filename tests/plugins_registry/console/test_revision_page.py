"""A revision's page: four eyes by the buttons it draws and by what the server refuses; hostile words stay words."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core.clock import now
from customers.models import AuditEntry
from plugins_registry.lifecycle import Action
from plugins_registry.models import Appeal, Block, Finding, Review, Revision, Waiver
from tests.plugins_registry.console.conftest import Browser
from tests.plugins_registry.console.world import CODE, World, manifest

APPROVE = {"decision": "approve", "reason_code": "", "comment": ""}
REJECT = {"decision": "reject", "reason_code": "secrets", "comment": "A key in main.py, line 5."}
STOP = {"reason_code": "vulnerable", "comment": "See advisory 12."}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"{{ 7|add:7 }}{% now 'Y' %}"
DECIDE_BUTTON = "Decide the"


def address(revision: Revision, act: str = "change") -> str:
    return f"/admin/plugins_registry/revision/{revision.pk}/{act}/"


def page(client: Client, revision: Revision) -> str:
    response = client.get(address(revision))
    assert response.status_code == 200
    return response.content.decode()


def send(client: Client, revision: Revision, act: str, form: dict[str, Any]) -> str:
    """Send a form; what the page says after it."""
    response = client.post(address(revision, act), form, follow=True)
    assert response.status_code == 200, (act, response.status_code)
    revision.refresh_from_db()
    return response.content.decode()


def test_two_people_certify_a_revision(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    assert "The security review is decided." in send(browser(world.ann), revision, "decide", APPROVE)
    assert revision.state == "code_review"
    assert "The code review is decided." in send(browser(world.bob), revision, "decide", APPROVE)
    assert revision.state == "certified"
    decided = [(review.kind, review.reviewer) for review in Review.objects.order_by("id")]
    assert decided == [("security", world.ann), ("code", world.bob)]
    history = page(browser(world.cat), revision)
    assert "revision.pass_security" in history
    assert "user:ann" in history
    assert "user:bob" in history


def test_nobody_decides_both_reviews(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    send(browser(world.ann), revision, "decide", APPROVE)
    shown = page(browser(world.ann), revision)
    assert DECIDE_BUTTON not in shown
    assert "ann decided the other review of this revision" in shown
    assert "ann decided the other review" in send(browser(world.ann), revision, "decide", APPROVE)
    assert revision.state == "code_review"


def test_the_authors_organisation_decides_nothing(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    finding = world.finding(revision)
    shown = page(browser(world.carl), revision)
    assert DECIDE_BUTTON not in shown
    assert "Remember for this plugin" not in shown
    assert "carl belongs to Acme Robotics, whose plugin it is" in shown
    assert "belongs to Acme Robotics" in send(browser(world.carl), revision, "decide", APPROVE)
    assert "belongs to Acme Robotics" in send(browser(world.carl), revision, f"waive/{finding.pk}", {"reason": "fine"})
    assert revision.state == "security_review"
    assert not Waiver.objects.exists()


@pytest.mark.parametrize(
    ("permission", "state", "may"),
    [
        ("review_security", "security_review", True),
        ("review_code", "security_review", False),
        ("review_security", "code_review", False),
        ("review_code", "code_review", True),
        ("yank_revision", "security_review", False),
        ("view_revision", "security_review", False),
    ],
)
def test_each_review_takes_its_own_permission(
    world: World, browser: Browser, permission: str, state: str, may: bool
) -> None:
    revision = world.to_review(world.revision())
    if state == "code_review":
        world.walk(revision, Action.PASS_SECURITY)
    client = browser(world.reviewer("dora", permission))
    assert (DECIDE_BUTTON in page(client, revision)) is may
    said = send(client, revision, "decide", APPROVE)
    assert (revision.state != state) is may
    assert may or f"has not the permission `plugins_registry.review_{state.split('_', maxsplit=1)[0]}`" in said


def test_a_rejection_needs_a_reason_and_a_comment(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    assert "is no reason" in send(browser(world.ann), revision, "decide", REJECT | {"reason_code": ""})
    assert "there is no comment" in send(browser(world.ann), revision, "decide", REJECT | {"comment": " "})
    assert "Select a valid choice" in send(browser(world.ann), revision, "decide", {"decision": "bless"})
    assert not Review.objects.exists()
    assert "The security review is decided." in send(browser(world.ann), revision, "decide", REJECT)
    assert (revision.state, Review.objects.get().reason_code) == ("rejected", "secrets")


def test_an_appeal_is_heard_by_somebody_who_did_not_reject(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    send(browser(world.ann), revision, "decide", REJECT)
    Appeal.objects.create(revision=revision, text="It is RFC 7515's example.", actor="key:key_1", at=now())
    form = {"outcome": "granted", "comment": "So it is."}
    own = page(browser(world.ann), revision)
    assert "somebody else hears the appeal" in own
    assert "Decide the appeal" not in own
    assert "rejected this revision" in send(browser(world.ann), revision, "hear", form)
    assert "The appeal is decided." in send(browser(world.bob), revision, "hear", form)
    assert revision.state == "security_review"


def test_a_false_positive_is_remembered_by_rule_and_fingerprint(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    finding = world.finding(revision)
    other = world.finding(revision, fingerprint="0" * 64)
    assert "Remembered" in send(browser(world.ann), revision, f"waive/{finding.pk}", {"reason": "a constant"})
    waiver = Waiver.objects.get()
    assert (waiver.rule, waiver.fingerprint, waiver.reviewer) == (finding.rule, finding.fingerprint, world.ann)
    assert Finding.objects.get(pk=finding.pk).waived
    assert not Finding.objects.get(pk=other.pk).waived
    assert "Say in at most" in send(browser(world.ann), revision, f"waive/{other.pk}", {"reason": ""})
    elsewhere = world.to_review(world.revision(manifest("other-tools")))
    assert browser(world.ann).post(address(elsewhere, f"waive/{other.pk}"), {"reason": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("act", "form", "state"),
    [
        ("quarantine", STOP, "quarantined"),
        ("yank", STOP, "yanked"),
        ("block", {"level": "hard", "reason": "harm"}, "blocked"),
    ],
)
def test_what_is_published_is_taken_off_the_shelf(
    world: World, browser: Browser, act: str, form: dict[str, str], state: str
) -> None:
    revision = world.published()
    client = browser(world.ann)
    assert f"/stop/{act}/" in page(client, revision)
    assert "csrfmiddlewaretoken" in client.get(address(revision, f"stop/{act}")).content.decode()
    assert revision.state == "published"
    send(client, revision, f"stop/{act}", form)
    assert revision.state == state
    assert AuditEntry.objects.filter(action=f"revision.{act}", actor="user:ann").exists()


def test_a_block_is_lifted_and_the_version_restored(world: World, browser: Browser) -> None:
    revision = world.published()
    client = browser(world.ann)
    send(client, revision, "stop/block", {"level": "soft", "reason": "harm"})
    send(client, revision, "stop/unblock", {"answered": "1"})
    assert (revision.state, Block.objects.get().lifted_at is None) == ("quarantined", False)
    send(client, revision, "stop/restore", {"comment": "a false alarm"})
    assert revision.state == "approved"


def test_whoever_lacks_a_duty_stops_nothing(world: World, browser: Browser) -> None:
    revision = world.published()
    client = browser(world.reviewer("dora", "review_code"))
    assert "/stop/" not in page(client, revision)
    for act in ("quarantine", "yank", "block", "restore", "unblock"):
        assert client.post(address(revision, f"stop/{act}"), STOP).status_code == 403, act
    assert client.post(address(revision, "stop/publish"), STOP).status_code == 404
    revision.refresh_from_db()
    assert revision.state == "published"


def test_the_author_may_take_away_and_not_give_back(world: World, browser: Browser) -> None:
    revision = world.published()
    send(browser(world.carl), revision, "stop/quarantine", STOP)
    assert revision.state == "quarantined"
    assert "stop/restore" not in page(browser(world.carl), revision)
    assert browser(world.carl).post(address(revision, "stop/restore"), {"comment": "x"}).status_code == 403


@pytest.mark.parametrize("act", ["decide", "waive/1", "hear", "stop/yank"])
def test_a_form_of_another_site_does_nothing(world: World, browser: Browser, act: str) -> None:
    revision = world.to_review(world.revision())
    assert browser(world.ann, csrf=True).post(address(revision, act), APPROVE).status_code == 403
    assert not Review.objects.exists()


@pytest.mark.parametrize("act", ["decide", "waive/1", "hear"])
def test_following_a_link_decides_nothing(world: World, browser: Browser, act: str) -> None:
    revision = world.to_review(world.revision())
    assert browser(world.ann).get(address(revision, act)).status_code == 405


def test_the_changes_are_those_since_the_last_approved_revision(world: World, browser: Browser) -> None:
    world.published(world.revision(manifest(version="1.0.0")))
    wide = manifest(version="1.1.0", permissions={"network": True, "filesystem": False, "system": False})
    files = {"main.py": CODE.replace(b"eval(event.method)", b"exec(event.method)"), "new.py": b"x = 1\n"}
    revision = world.to_review(world.revision(wide, files))
    world.finding(revision)
    shown = page(browser(world.ann), revision)
    assert "against 1.0.0, the last approved" in shown
    assert "widened" in shown
    assert "exec(event.method)" in shown
    assert "new.py" in shown
    assert '<tr class="here"><td class="number">6</td>' in shown
    assert "not run" in shown


def test_hostile_words_in_every_field_stay_words(world: World, browser: Browser) -> None:
    document = manifest(description=HOSTILE, author=HOSTILE, license="MIT")
    schema = {"type": "object", "properties": {HOSTILE: {"type": "string", "default": HOSTILE}}}
    document["configuration"] = {"schema": schema}
    code = f"# {HOSTILE}\nx = 1  # \u202e \u2066 admin\n".encode()
    world.acme.name = HOSTILE[:120]
    world.acme.save()
    revision = world.to_review(world.revision(document, {"main.py": code}))
    world.finding(revision, rule=HOSTILE[:100], message=HOSTILE, hint=HOSTILE, check_name=HOSTILE[:60], line=1)
    world.finding(revision, file=HOSTILE, line=None, fingerprint="1" * 64)
    revision.check_runs.create(check_name=HOSTILE[:50], state="error", detail=HOSTILE)
    reviewer = User.objects.create_superuser(HOSTILE[:100])
    send(browser(reviewer), revision, "decide", REJECT | {"comment": HOSTILE})
    revision.appeals.create(text=HOSTILE, actor=HOSTILE[:100], at=now())
    shown = page(browser(world.bob), revision) + page(browser(world.carl), revision)
    shown += browser(world.bob).get("/admin/plugins_registry/revision/?stage=all").content.decode()
    assert "<script>alert" not in shown
    assert "<img src=x" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "{{ 7|add:7 }}" in shown
    assert "⟨U+202E⟩" in shown
    assert "\u202e" not in shown


def test_a_source_that_storage_lost_is_said_so(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    world.finding(revision)
    revision.source.file.storage.delete(str(revision.source.file.name))
    shown = page(browser(world.ann), revision)
    assert "the source cannot be read" in shown
    assert "Use of possibly insecure function" in shown


def test_the_page_has_the_consoles_policy(world: World, browser: Browser) -> None:
    revision = world.to_review(world.revision())
    policy = browser(world.ann).get(address(revision))["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
