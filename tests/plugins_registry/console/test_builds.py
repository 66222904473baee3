"""Builds in the console: steps and log as text, a failed one begun again, a package revoked; by who may, on record."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from core.clock import now
from customers.models import AuditEntry
from plugins_registry.lifecycle import Action, State
from plugins_registry.models import BuildState, CustomerBuild, PayloadBuild, RepositoryState, SigningRole
from tests.plugins_registry.console.world import World

HOSTILE = "<script>alert(1)</script>"
BUILDS = "/admin/plugins_registry"


@pytest.fixture
def ops(db: None) -> Client:
    browser = Client()
    browser.force_login(User.objects.create(username="ops", is_staff=True, is_superuser=True))
    return browser


@pytest.fixture
def failed(world: World) -> PayloadBuild:
    revision = world.to_review(world.revision())
    steps = [{"name": "source", "seconds": 0.21, "ok": True}, {"name": HOSTILE, "seconds": 61.5, "ok": False}]
    columns = {"state": BuildState.FAILED, "source_sha256": "0" * 64, "steps": steps, "log": f"one\n{HOSTILE}\x1b[2J"}
    return PayloadBuild.objects.update_or_create(revision=revision, platform="any", defaults=columns)[0]


def test_steps_and_log_are_text(ops: Client, failed: PayloadBuild) -> None:
    shown = ops.get(f"{BUILDS}/payloadbuild/{failed.pk}/change/").content.decode()
    assert "source · 0.2 s" in shown
    assert "61.5 s" in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown
    assert "\x1b" not in shown


def test_a_failed_build_is_begun_again_once_on_record(ops: Client, failed: PayloadBuild) -> None:
    path = f"{BUILDS}/payloadbuild/{failed.pk}/retry/"
    ops.get(path)
    assert PayloadBuild.objects.get(pk=failed.pk).state == BuildState.FAILED
    ops.post(path)
    assert PayloadBuild.objects.get(pk=failed.pk).state == BuildState.QUEUED
    assert "only one that failed" in ops.post(path, follow=True).content.decode()
    assert AuditEntry.objects.get(action="build.retried").actor == "user:ops"


def test_a_customers_package_is_tried_again_and_revoked(ops: Client, world: World) -> None:
    payload = world.build(world.published())
    row = CustomerBuild.objects.create(payload=payload, customer=world.acme, state=BuildState.FAILED)
    ops.post(f"{BUILDS}/customerbuild/{row.pk}/retry/")
    assert CustomerBuild.objects.get().state == BuildState.QUEUED
    assert (
        "no package that is in use"
        in ops.post(f"{BUILDS}/customerbuild/{row.pk}/revoke/", follow=True).content.decode()
    )
    CustomerBuild.objects.update(state=BuildState.BUILT, sha256="ab" * 32, built_at=now())
    ops.post(f"{BUILDS}/customerbuild/{row.pk}/revoke/")
    assert CustomerBuild.objects.get().revoked_at is not None
    actions = {entry.action for entry in AuditEntry.objects.filter(subject=f"build:{row.public_id}")}
    assert actions == {"build.retried", "build.revoked"}


def test_whoever_may_only_look_begins_nothing(failed: PayloadBuild) -> None:
    viewer = User.objects.create(username="viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    browser = Client()
    browser.force_login(viewer)
    assert browser.get(f"{BUILDS}/payloadbuild/{failed.pk}/change/").status_code == 200
    assert browser.post(f"{BUILDS}/payloadbuild/{failed.pk}/retry/").status_code == 403
    assert PayloadBuild.objects.get(pk=failed.pk).state == BuildState.FAILED


def test_a_check_that_could_not_run_is_run_again_by_a_reviewer(world: World) -> None:
    revision = world.walk(world.revision(), Action.SUBMIT, Action.VALIDATE, Action.SCAN, Action.FAIL_SCAN)
    path = f"{BUILDS}/revision/{revision.pk}/stop/retry_scan/"
    for user, status in ((world.ann, 200), (world.reviewer("clerk", "yank_revision"), 403)):
        browser = Client()
        browser.force_login(user)
        assert browser.get(path).status_code == status
    browser.force_login(world.ann)
    assert "Run the checks again" in browser.get(f"{BUILDS}/revision/{revision.pk}/change/").content.decode()
    browser.post(path)
    revision.refresh_from_db()
    assert revision.state == State.SCANNING
    assert AuditEntry.objects.get(action="revision.retry_scan").actor == "user:ann"


def test_what_signs_is_shown_without_where_it_lies(ops: Client) -> None:
    uri = "file:/very/private/place?x=1"
    key = SigningRole.objects.create(role="security", uri=uri, key_id="ab" * 16, public={"keyval": {}})
    state = RepositoryState.objects.create(name="catalog", version=3)
    for path in (f"signingrole/{key.pk}/change/", "signingrole/", f"repositorystate/{state.pk}/change/"):
        answer = ops.get(f"{BUILDS}/{path}")
        assert answer.status_code == 200
        assert "private/place" not in answer.content.decode()
    assert ops.post(f"{BUILDS}/signingrole/{key.pk}/change/", {"active": ""}).status_code == 403
