"""One production service for the tests of this room, and this process beside it as the operator's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from core.clock import now
from kmcloud.celery import app
from plugins_registry.object_storage import ObjectStorage
from plugins_registry.signing import signers
from tests.events.databases import in_use, postgres_in, postgres_programs
from tests.plugins_registry.production.deployment import PASSPHRASE, QUEUES, Production
from tests.plugins_registry.production.servers import BUCKET, REGION, Aws, aws, redis_in
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded
from tests.plugins_registry.storing import replaced


@pytest.fixture(scope="module")
def production(django_db_setup: None, django_db_blocker: Any) -> Iterator[Production]:
    """Running, with an empty database."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="km-production-")))
        cluster = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="km-db-")))
        urls, place = stack.enter_context(redis_in(directory)), stack.enter_context(aws(directory))
        server = stack.enter_context(postgres_in(cluster, programs))
        stack.enter_context(in_use(server))
        running = Production(directory, f"postgres://km@/postgres?host={cluster}", urls, place)
        stack.callback(running.stop)
        running.start_web()
        for queue in QUEUES:
            running.start_worker(queue)
        running.start("beat", "run_beat")
        running.wait_until_ready(*QUEUES)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        operate(running, patch)
        yield running


def operate(running: Production, patch: pytest.MonkeyPatch) -> None:
    """Have this process see the same files and keys, and wake the same workers."""
    patch.setattr(settings, "SIGNER_DIR", running.keys)
    patch.setattr(settings, "SIGNER_PASSPHRASE", PASSPHRASE)
    patch.setattr(app, "send_task", running.celery.send_task)
    replaced(patch, bucket(running.aws))
    signers.forget()


def bucket(place: Aws) -> ObjectStorage:
    """As the settings make it, with the credentials that the environment would hold."""
    found = {"access_key": "registry", "secret_key": "-", "endpoint_url": place.url}
    return ObjectStorage(bucket_name=BUCKET, region_name=REGION, default_acl=None, file_overwrite=False, **found)


@pytest.fixture(scope="module")
def founded(production: Production) -> Iterator[Founded]:
    """A registry that its people founded, once for the room."""
    ceremonies = production.directory / "ceremonies"
    ceremonies.mkdir()
    yield world.found(ceremonies, at=now())
    signers.forget()
