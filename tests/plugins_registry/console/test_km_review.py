"""`km-review` as a reviewer runs it, against a live service: a key that never leaves, a digest worked out again."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.core.cache import cache
from km_protocol import reviewing
from km_protocol.kmpkg import dsse, keys
from km_review import key_file, releases
from km_review.errors import ReviewError
from km_review.wire import Draft
from pytest_django.live_server_helper import LiveServer

from core.clock import now
from customers.models import AuditEntry
from plugins_registry import reviewer_keys
from plugins_registry.lifecycle import Action
from plugins_registry.models import Approval, PayloadBuild, ReviewerKey, Revision
from plugins_registry.repositories import metadata
from tests.plugins_registry.console.world import CODE, World, archive, manifest

PASSPHRASE = "four random words here"
PROGRAM = Path(sys.executable).with_name("km-review")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_failures_yet() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@dataclass
class Laptop:
    """A reviewer's machine: its key file, and the program on it."""

    key: Path
    server: str

    def run(self, *arguments: str, typed: tuple[str, ...] = (PASSPHRASE,)) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PROGRAM), "--server", self.server, "--key", str(self.key), *arguments],
            input="".join(f"{line}\n" for line in typed),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def enroll(self, user: User) -> ReviewerKey:
        """A new key, registered for `user` by the program."""
        assert self.run("key", "new", typed=(PASSPHRASE, PASSPHRASE)).returncode == 0
        done = self.run("key", "register", typed=(PASSPHRASE, reviewer_keys.challenge(user)))
        assert done.returncode == 0, done.stderr
        return ReviewerKey.objects.get(user=user)


@pytest.fixture
def ann(tmp_path: Path, live_server: LiveServer) -> Laptop:
    return Laptop(tmp_path / "ann" / "key.pem", live_server.url)


@pytest.fixture
def bob(tmp_path: Path, live_server: LiveServer) -> Laptop:
    return Laptop(tmp_path / "bob" / "key.pem", live_server.url)


def certified(world: World) -> tuple[Revision, PayloadBuild]:
    revision = world.certified()
    return revision, world.build(revision)


def test_two_reviewers_sign_with_keys_of_their_own(world: World, ann: Laptop, bob: Laptop) -> None:
    first, second = ann.enroll(world.ann), bob.enroll(world.bob)
    revision, build = certified(world)
    assert revision.public_id in ann.run("list").stdout
    done = ann.run("sign", revision.public_id, typed=(PASSPHRASE, "sign"))
    assert done.returncode == 0, done.stderr
    assert f"payload digest: {build.payload_digest}" in done.stdout
    assert "recomputed here from 1 file" in done.stdout
    assert "1 of 2 signatures" in done.stdout
    assert "you have signed this already" in ann.run("sign", revision.public_id).stderr
    assert bob.run("sign", revision.public_id, typed=(PASSPHRASE, "sign")).returncode == 0
    revision.refresh_from_db()
    assert revision.state == "approved"
    envelope = dsse.merge([bytes(approval.envelope) for approval in Approval.objects.all()])
    trusted = {key.key_id: reviewer_keys.raw_key(key) for key in (first, second)}
    assert build.payload_digest.encode() in dsse.verify(envelope, trusted, 2)
    assert AuditEntry.objects.filter(action="revision.signed").count() == 2


def test_the_key_file_is_encrypted_and_the_owners_alone(ann: Laptop) -> None:
    assert "at least 12" in ann.run("key", "new", typed=("short", "short")).stderr
    assert "differ" in ann.run("key", "new", typed=(PASSPHRASE, "another")).stderr
    assert ann.run("key", "new", typed=(PASSPHRASE, PASSPHRASE)).returncode == 0
    assert ann.key.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert ann.key.stat().st_mode & 0o777 == 0o600
    assert "there is a key" in ann.run("key", "new", typed=(PASSPHRASE, PASSPHRASE)).stderr
    assert "does not open" in ann.run("key", "show", typed=("wrong",)).stderr


def test_whoever_does_not_type_sign_signs_nothing(world: World, ann: Laptop) -> None:
    ann.enroll(world.ann)
    revision, _ = certified(world)
    for answer in ("", "yes", "no"):
        assert ann.run("sign", revision.public_id, typed=(PASSPHRASE, answer)).returncode == 1
    assert ann.run("sign", revision.public_id).returncode == 1
    unexpected = ann.run("sign", revision.public_id, "--expect", "0" * 64, typed=(PASSPHRASE, "sign"))
    assert "is not the expected" in unexpected.stderr
    assert not Approval.objects.exists()


def test_a_payload_that_was_exchanged_after_its_build_is_not_signed(world: World, ann: Laptop) -> None:
    ann.enroll(world.ann)
    revision, build = certified(world)
    evil = {"km/manifest.json": revision.manifest_json.encode(), "payload/main.py": CODE + b"import socket\n"}
    Path(build.file.path).write_bytes(archive(evil))
    done = ann.run("sign", revision.public_id, typed=(PASSPHRASE, "sign"))
    assert done.returncode == 1
    assert "the statement to sign is about" in done.stderr
    assert not Approval.objects.exists()


def test_a_manifest_that_was_exchanged_after_its_build_is_not_signed(world: World, ann: Laptop) -> None:
    ann.enroll(world.ann)
    revision, build = certified(world)
    wide = manifest(permissions={"network": True, "filesystem": False, "system": False})
    Path(build.file.path).write_bytes(archive({"km/manifest.json": json.dumps(wide).encode(), "payload/main.py": CODE}))
    assert "the payload's manifest says" in ann.run("sign", revision.public_id, typed=(PASSPHRASE, "sign")).stderr
    assert not Approval.objects.exists()


@pytest.mark.parametrize("why", ["not certified", "author", "second build"])
def test_what_may_not_be_signed_is_not_and_says_why(world: World, ann: Laptop, why: str) -> None:
    ann.enroll(world.carl if why == "author" else world.ann)
    revision, build = certified(world)
    if why == "not certified":
        revision = world.walk(revision, Action.REJECT)
    if why == "second build":
        PayloadBuild.objects.filter(pk=build.pk).update(second_build_matches=None)
    done = ann.run("sign", revision.public_id, typed=(PASSPHRASE, "sign"))
    assert "nothing to sign" in done.stderr
    said = {"not certified": "rejected", "author": "belongs to Acme Robotics", "second build": "no second build"}
    assert said[why] in done.stderr
    assert not Approval.objects.exists()


def test_a_revoked_key_opens_nothing(world: World, ann: Laptop) -> None:
    key = ann.enroll(world.ann)
    assert ann.run("list").returncode == 0
    reviewer_keys.revoke(key, actor="user:ops", at=now(), reason="lost laptop")
    assert "no key in use here" in ann.run("list").stderr
    assert AuditEntry.objects.get(action="reviewer_key.revoked").details == {"reason": "lost laptop"}


def test_who_is_no_reviewer_any_more_is_refused(world: World, ann: Laptop) -> None:
    ann.enroll(world.ann)
    world.ann.user_permissions.clear()
    assert "ann is no reviewer" in ann.run("list").stderr


def test_a_challenge_registers_one_key_and_only_in_its_time(world: World, ann: Laptop, bob: Laptop) -> None:
    challenge = reviewer_keys.challenge(world.ann)
    for laptop in (ann, bob):
        assert laptop.run("key", "new", typed=(PASSPHRASE, PASSPHRASE)).returncode == 0
    assert ann.run("key", "register", typed=(PASSPHRASE, challenge)).returncode == 0
    assert "registered a key already" in bob.run("key", "register", typed=(PASSPHRASE, challenge)).stderr
    assert "no challenge" in bob.run("key", "register", typed=(PASSPHRASE, challenge[:-3] + "xyz")).stderr
    fresh = reviewer_keys.challenge(world.bob)
    assert "registered already" in ann.run("key", "register", typed=(PASSPHRASE, fresh)).stderr
    assert ReviewerKey.objects.count() == 1


def test_a_challenge_runs_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = reviewer_keys.challenge(world.ann)
    monkeypatch.setattr(reviewer_keys, "CHALLENGE_GOOD_FOR", timedelta(seconds=-1))
    with pytest.raises(reviewer_keys.BadChallenge, match="too old"):
        reviewer_keys.register(challenge, "x", "y", at=now())


def test_somebody_elses_public_key_is_not_registered(world: World, tmp_path: Path) -> None:
    mine, theirs = (key_file.create(tmp_path / name, PASSPHRASE) for name in ("mine", "theirs"))
    challenge = reviewer_keys.challenge(world.ann)
    signature = reviewing.signature_text(mine.sign(reviewing.possession_bytes(challenge, theirs.public)))
    with pytest.raises(reviewer_keys.BadProof):
        reviewer_keys.register(challenge, keys.to_text(theirs.public), signature, at=now())


def signed_get(server: str, key: key_file.KeyFile, target: str, /, **changed: Any) -> int:
    """The status of a request whose proof is over other facts than its own where `changed` says so."""
    facts: dict[str, Any] = {"method": "GET", "target": target, "at": int(time.time()), "body": b""} | changed
    proof = reviewing.Proof(key.keyid, facts["at"], key.sign(reviewing.request_bytes(**facts)))
    headers = {"Authorization": reviewing.authorization(proof)}
    return requests.get(server + target, headers=headers, timeout=10).status_code


def test_a_proof_is_good_for_its_own_request_and_minute(world: World, ann: Laptop) -> None:
    ann.enroll(world.ann)
    key, target = key_file.load(ann.key, PASSPHRASE), "/api/review/revisions"
    assert signed_get(ann.server, key, target) == 200
    for changed in ({"method": "POST"}, {"target": "/api/review/releases"}, {"body": b"x"}, {"at": 1_700_000_000}):
        assert signed_get(ann.server, key, target, **changed) == 401, changed
    assert signed_get(ann.server, key, f"{target}?a=1", target=target) == 401
    assert requests.get(ann.server + target, timeout=10).status_code == 401


def test_a_reviewers_browser_and_a_customers_key_open_nothing_here(world: World, client: Any) -> None:
    client.force_login(world.ann)
    assert client.get("/api/review/revisions").status_code == 401
    assert client.get("/api/review/revisions", headers={"Authorization": "Bearer km_live_x"}).status_code == 401


def test_no_other_service_than_one_with_tls_is_asked(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path / "key.pem", "http://km.example")
    assert laptop.run("key", "new", typed=(PASSPHRASE, PASSPHRASE)).returncode == 0
    assert "is not encrypted" in laptop.run("list").stderr


def draft(digest: str, **changed: Any) -> Draft:
    """Version 3 of a bin, which lists one payload, as the service offers it."""
    custom = {"payload_digest": digest, "permissions": ["network"]}
    target = metadata.target("slow-tools/1.2.0/any", 0, digest, custom)
    made = metadata.targets("catalog", 3, now() + timedelta(days=30), [target])
    fields: dict[str, Any] = {"repository": "catalog", "role": "release-0c", "version": 3, "published": None} | changed
    return Draft(signed=base64.b64encode(made.signed_bytes).decode(), **fields)


def test_a_change_of_the_catalog_marks_what_the_reviewer_did_not_certify() -> None:
    change = releases.read(draft("a" * 64))
    assert [target.path for target in change.added] == ["slow-tools/1.2.0/any"]
    assert "NOT certified" in "\n".join(releases.words_of(change, own=()))
    assert "NOT certified" not in "\n".join(releases.words_of(change, own=["a" * 64]))


@pytest.mark.parametrize("changed", [{"version": 4}, {"repository": "cus_1"}])
def test_another_role_than_the_one_named_is_not_signed(changed: dict[str, Any]) -> None:
    with pytest.raises(ReviewError, match="what is offered is not version"):
        releases.read(draft("a" * 64, **changed))


def test_a_draft_that_says_one_thing_twice_is_not_signed() -> None:
    offered = draft("a" * 64)
    twice = base64.b64decode(offered.signed).replace(b'"version":3', b'"version":3,"version":3')
    with pytest.raises(ReviewError, match="stands twice"):
        releases.read(Draft("catalog", "release-0c", 3, base64.b64encode(twice).decode()))
