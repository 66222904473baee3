"""Celery, Redis, PostgreSQL and S3 carry a submission into a customer's director, each process with its own duty."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from pathlib import Path

import psutil
import pytest
from km_protocol.kmpkg import keys
from km_protocol.kmpkg.trust import TrustPolicy
from km_protocol.kmpkg.verify import verify

from core.clock import now
from plugins_registry import wakeup
from plugins_registry.building.payloads import CLAIM
from plugins_registry.building.wakeup import BUILD, BUILDS, PAYLOAD, RESUME, SIGN
from plugins_registry.models import BuildState, PayloadBuild, Revision
from plugins_registry.repositories.wakeup import PUBLISH
from plugins_registry.signing.roles import Role
from plugins_registry.signing.signers import package_signer, signer_for
from plugins_registry.states import State
from tests.end_to_end.waiting import eventually
from tests.plugins_registry.building.conftest import payload_row
from tests.plugins_registry.production import laptop
from tests.plugins_registry.production.carrying import (
    NAME,
    WITHIN,
    again,
    everything,
    provisioned,
    reviewed,
    submitted,
    until,
)
from tests.plugins_registry.production.deployment import QUEUES, Production
from tests.plugins_registry.registry import manifest
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]  # four processes start on what may be a busy machine
MODULES, LINES = 60, 2000  # seconds of compiling
WORK = {  # who does what, and nobody else
    "maintenance": {wakeup.SCAN, wakeup.NOTIFY, "registry.resume", RESUME},
    "builds": {PAYLOAD, BUILD},
    "signing": {SIGN, PUBLISH},
}


def test_a_submission_is_carried_to_a_customer_by_three_workers(
    production: Production, founded: Founded, tmp_path: Path
) -> None:
    revision = submitted(production)
    until(production, revision, State.SECURITY_REVIEW)
    reviewed(revision, founded)
    until(production, revision, State.PUBLISHED)
    customer, key = world.customer("Customer", "free", at=now())
    asked = {"platform": "linux-amd64", "installed": [NAME]}
    ready = eventually(partial(provisioned, production, key, asked), within=WITHIN, what="a package")

    client = laptop.director(production, customer.public_id, key, world.root_of("director"), tmp_path)
    target = client.get_targetinfo(ready["target"])
    assert target is not None
    package = Path(client.download_target(target)).read_bytes()
    issuer = package_signer()
    people = {keys.key_id(each.raw): each.raw for each in founded.reviewers}
    verify(package, TrustPolicy({issuer.keyid: issuer.public}, people, 2, customer.public_id), at=now())

    assert_each_did_its_own_work(production)
    assert_nothing_changes_when_all_is_done_again(production, revision)
    assert_only_some_can_sign(production)
    assert_all_files_are_in_the_bucket(production)


def test_a_build_whose_worker_is_killed_is_finished_by_the_next(production: Production) -> None:
    build = long_build()
    worker = production.processes["builds"]
    production.send(PAYLOAD, build.pk, queue=BUILDS)
    box = eventually(lambda: boxes(worker), within=WITHIN, what="it is being built")
    worker.kill()
    worker.wait()
    _, alive = psutil.wait_procs(box, timeout=WITHIN)
    assert not alive, "a box outlived its worker"
    build.refresh_from_db()
    assert (build.state, build.payload_digest) == (BuildState.BUILDING, "")
    assert build.claimed_until is not None and build.claimed_until <= now() + CLAIM

    production.start_worker("builds")
    eventually(lambda: production.works("builds"), within=WITHIN, what="a new worker of builds")
    production.send(PAYLOAD, build.pk, queue=BUILDS)  # nothing: the dead one's claim holds
    eventually(production.settled, within=WITHIN, what="it was looked at")
    build.refresh_from_db()
    assert build.state == BuildState.BUILDING
    PayloadBuild.objects.filter(pk=build.pk).update(claimed_until=now() - timedelta(seconds=1))  # as time does
    for _ in range(2):
        production.send(RESUME, queue="maintenance")  # as beat does every minute

    def finished() -> bool:
        build.refresh_from_db()
        assert build.state != BuildState.FAILED, build.log
        return build.state == BuildState.BUILT

    eventually(finished, within=WITHIN, what="it is built")
    assert build.second_build_matches and build.file.storage.exists(str(build.file.name))
    assert production.aws.names().count(str(build.file.name)) == 1


def long_build() -> PayloadBuild:
    """A revision that waits for a payload which takes a while."""
    body = "".join(
        f"def f{number}(a, b=[{number}]): return [a + {number} for b in b if a]\n" for number in range(LINES)
    )
    sources = {f"m{number}.py": f"# {number}\n{body}".encode() for number in range(MODULES)}
    described = json.dumps(manifest(name="long-winded")).encode()
    return payload_row({"manifest.json": described, "main.py": b"", **sources})


def boxes(worker: psutil.Process) -> list[psutil.Process]:
    return [each for each in worker.children(recursive=True) if each.name() == "bwrap"]


def assert_each_did_its_own_work(production: Production) -> None:
    """The worker of builds above all never signed."""
    for queue, tasks in production.tasks().items():
        assert not [task for other in QUEUES if other != queue for task in WORK[other] & tasks.keys()]


def assert_nothing_changes_when_all_is_done_again(production: Production, revision: Revision) -> None:
    eventually(production.settled, within=WITHIN, what="nothing is under way")
    before, counted = everything(production), production.tasks()
    for task, pk, queue in again(revision):
        production.send(task, *pk, queue=queue)

    def is_done() -> bool:
        done = production.tasks()
        taken_up = all(done[queue][task] > counted[queue][task] for task, _, queue in again(revision))
        return taken_up and production.settled()

    eventually(is_done, within=WITHIN, what="all was done again")
    assert everything(production) == before


def assert_only_some_can_sign(production: Production) -> None:
    """The worker of builds is told of no key, and has made itself none."""
    told = {name: process.environ() for name, process in production.processes.items()}
    assert not [name for name in told["builds"] if name.startswith("KM_SIGNER") or name == "KM_HSM_PIN"]
    assert not [name for name, value in told["builds"].items() if str(production.keys) in value]
    assert not list(production.data("builds").rglob("*.pem"))
    assert signer_for(Role.DIRECTOR_TARGETS).sign(b"here, where they are").signature


def assert_all_files_are_in_the_bucket(production: Production) -> None:
    kinds = {name.split("/")[0] for name in production.aws.names()}
    assert kinds == {"sources", "payloads", "packages"}
    for name in production.processes:
        assert not [path for path in production.data(name).rglob("*") if path.suffix in {".zip", ".kmpkg"}]
