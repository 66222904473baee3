"""A submission on its way through a production service: its author's step, the reviewers', a customer's."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.models import Permission, User
from km_protocol.kmpkg import dsse
from km_protocol.kmpkg.source_archive import MEDIA_TYPE

from core.clock import now
from customers import accounts, api_keys
from customers.scopes import Scope
from plugins_registry import approvals, review, wakeup
from plugins_registry.building.wakeup import BUILD, BUILDS, PAYLOAD, SIGN, SIGNING
from plugins_registry.models import CustomerBuild, MetadataFile, PayloadBuild, Revision, StateChange
from plugins_registry.repositories.wakeup import PUBLISH
from plugins_registry.states import State
from tests.end_to_end.waiting import eventually
from tests.plugins_registry.production.deployment import Production
from tests.plugins_registry.registry import archive
from tests.plugins_registry.repositories.world import Founded

WITHIN = 60.0
NAME = "slow-tools"
SOURCE = {"main.py": b"print('hello')\n", "LICENSE": b"MIT\n", "README.md": b"# Slow tools\n"}


def submitted(production: Production) -> Revision:
    """As an author sends it."""
    author = accounts.create_customer("Author", "pro", at=now())
    key = api_keys.issue(author, "author", scopes=[Scope.PLUGINS_SUBMIT], at=now()).secret
    data = archive(SOURCE)
    answer = production.ask("POST", "/api/registry/submissions", key, data=data, headers={"Content-Type": MEDIA_TYPE})
    assert answer.status_code == 201, answer.text
    return Revision.objects.get(public_id=answer.json()["id"])


def until(production: Production, revision: Revision, state: State) -> None:
    def reached() -> bool:
        revision.refresh_from_db()
        return revision.state == state

    try:
        eventually(reached, within=WITHIN, what=f"the revision is {state}")
    except AssertionError as error:
        checks = list(revision.check_runs.exclude(detail="").values_list("check_name", "state", "detail"))
        error.add_note(f"it is {revision.state}; {checks}\n{production.log('maintenance')[-4000:]}")
        raise


def reviewed(revision: Revision, founded: Founded) -> None:
    """Both reviewers decide, certify what was built, and release it."""
    duties = Permission.objects.filter(codename__in=["review_security", "review_code"])
    for kind, row in zip(("security", "code"), founded.reviewer_rows, strict=True):
        row.user.user_permissions.set(duties)
        user = User.objects.get(pk=row.user.pk)  # permissions are remembered on the object
        review.decide(revision, kind, user, "approve", "", "read it", at=now())
    payload = eventually(partial(built, revision), within=WITHIN, what="the payload is built")
    statement = approvals.statement_for(payload)
    for person in founded.reviewers:
        approvals.record_approval(revision, dsse.sign(statement, [person]), at=now())
    assert founded.review(at=now()) > 0


def built(revision: Revision) -> PayloadBuild | None:
    found = PayloadBuild.objects.filter(revision=revision).first()
    assert found is None or found.state != "failed", found.log
    return found if found and found.state == "built" else None


def provisioned(production: Production, key: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    answer = production.ask("POST", "/api/plugins/provision", key, json=asked)
    assert answer.status_code == 200, answer.text
    (plugin,) = answer.json()["plugins"]
    return dict(plugin) if plugin["state"] == "ready" else None


def again(revision: Revision) -> list[tuple[str, tuple[int, ...], str]]:
    """Every wake-up there was."""
    payload = PayloadBuild.objects.get(revision=revision)
    package = CustomerBuild.objects.get(payload=payload)
    return [
        (wakeup.SCAN, (revision.pk,), "maintenance"),
        (PAYLOAD, (payload.pk,), BUILDS),
        (BUILD, (package.pk,), BUILDS),
        (SIGN, (package.pk,), SIGNING),
        (PUBLISH, (), SIGNING),
    ]


def everything(production: Production) -> list[object]:
    """What running anything once more could have changed."""
    return [
        sorted(production.aws.names()),
        list(StateChange.objects.values_list("pk", "after")),
        list(PayloadBuild.objects.values_list("pk", "state", "payload_digest", "built_at", "claimed_until")),
        list(CustomerBuild.objects.values_list("pk", "state", "sha256", "built_at", "claimed_until")),
        list(MetadataFile.objects.values_list("repository", "path", "version")),
    ]
