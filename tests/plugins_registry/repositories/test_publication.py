"""Publishing under the faults that happen: a death at every step, two workers at once, a full disk.

On real databases: SQLite in a file, and PostgreSQL where it is installed.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models import Count

from core.clock import now
from customers import subscriptions
from customers.models import Customer, Subscription, Tier
from plugins_registry.models import MetadataFile, RepositoryState
from plugins_registry.repositories import catalog, director, files, mark_dirty, mark_everyone_dirty
from tests.events.databases import KINDS, real_database
from tests.plugins_registry.repositories import world
from tests.plugins_registry.repositories.world import Founded, Served

STEPS = [
    (director, "_claim"),
    (director, "shelves"),
    (director, "_signed"),
    (files, "store"),
    (files, "prune"),
]


class Killed(BaseException):
    """What no handler catches, as little as SIGKILL."""


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """A real database of its own for the tests of this module; which kind."""
    with django_db_blocker.unblock(), real_database(request.param):
        yield request.param


@pytest.fixture
def registry(database: str, tmp_path: Path) -> Founded:
    """Founded in an otherwise empty database."""
    call_command("flush", verbosity=0, interactive=False)
    (tmp_path / "ceremonies").mkdir()
    return world.found(tmp_path / "ceremonies", at=now())


@pytest.fixture
def acme(registry: Founded) -> tuple[Customer, str]:
    """A Pro customer with two builds, one of which Free does not include."""
    buyer, key = world.customer("Acme", "pro", at=now())
    for name, required in (("plain", ()), ("shipper", ("api_logging",))):
        world.built(world.published(registry, name, required=required, at=now()), buyer)
    mark_dirty(buyer)
    world.publish()
    return buyer, key


def downgrade(buyer: Customer) -> None:
    free = Tier.objects.get(code="free")
    subscriptions.change_tier(Subscription.objects.get(customer=buyer), free, at=now())


def dying(step: Any, *, after: bool) -> Any:
    """`step`, and then, or instead, the end of the process."""

    def killed(*arguments: Any, **options: Any) -> Any:
        if after:
            result = step(*arguments, **options)
            list(result) if hasattr(result, "__next__") else result
        raise Killed

    return killed


def keeping(prepared: list[MetadataFile]) -> Any:
    """A store that keeps what it is given in `prepared`, and ends the process."""

    def store(written: Iterable[MetadataFile]) -> None:
        prepared.extend(written)
        raise Killed

    return store


def test_a_death_at_any_step_leaves_the_old_view_and_the_next_round_the_new_one(
    acme: tuple[Customer, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer, key = acme
    downgrade(buyer)  # committed; nothing is published yet
    place = tmp_path / "client"
    for (module, name), after in itertools.product(STEPS, (False, True)):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(module, name, dying(getattr(module, name), after=after))
            director.publish_due(at=now())
        seen = world.listed(world.director_client(place, buyer, Served(key)))
        assert seen == ["plain/1.0.0", "shipper/1.0.0"], (name, after)
    world.publish()
    assert world.listed(world.director_client(place, buyer, Served(key))) == ["plain/1.0.0"]


def test_a_death_while_the_catalog_is_published_leaves_the_old_one(
    acme: tuple[Customer, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_everyone_dirty()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(files, "store", dying(files.store, after=True))
        catalog.publish(at=now())
    assert world.catalog_client(tmp_path).get_targetinfo("plain/1.0.0/linux-amd64") is not None
    assert catalog.publish(at=now())
    assert world.catalog_client(tmp_path).get_targetinfo("plain/1.0.0/linux-amd64") is not None


def test_files_are_written_in_an_order_that_needs_no_transaction(
    acme: tuple[Customer, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a store that keeps each file at once shows the old view or the new one, wherever it stops."""
    buyer, key = acme
    downgrade(buyer)
    prepared: list[MetadataFile] = []
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(files, "store", keeping(prepared))
        director.publish_due(at=now())
    old, new = ["plain/1.0.0", "shipper/1.0.0"], ["plain/1.0.0"]
    for count, written in enumerate(prepared):
        files.store([written])
        client = world.director_client(tmp_path / str(count), buyer, Served(key))
        assert world.listed(client) == (new if count == len(prepared) - 1 else old)


def test_two_workers_at_once_publish_each_director_once(registry: Founded) -> None:
    buyers = [world.customer(f"Customer {number}", "pro", at=now())[0] for number in range(24)]
    for buyer in buyers:
        mark_dirty(buyer)
    together, counts = threading.Barrier(2), []

    def work() -> None:
        together.wait()
        try:
            while more := director.publish_due(at=now(), batch=5):
                counts.append(more)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 24
    states = RepositoryState.objects.filter(name__startswith="cus_")
    assert set(states.values_list("version", "timestamp_version", "dirty_since")) == {(1, 1, None)}
    files_each = MetadataFile.objects.filter(repository__in=states).values("repository").annotate(count=Count("id"))
    assert {row["count"] for row in files_each} == {3}


def test_a_change_during_a_publication_is_in_it_or_marks_it_again(acme: tuple[Customer, str], tmp_path: Path) -> None:
    buyer, key = acme
    together = threading.Barrier(2)
    moments: list[datetime] = []

    def change() -> None:
        together.wait()
        try:
            downgrade(buyer)
            moments.append(now())
        finally:
            connection.close()

    mark_dirty(buyer)
    thread = threading.Thread(target=change)
    thread.start()
    together.wait()
    director.publish_due(at=now())
    thread.join()
    assert moments
    world.publish()
    assert world.listed(world.director_client(tmp_path, buyer, Served(key))) == ["plain/1.0.0"]


def test_a_full_disk_leaves_the_old_view_and_the_mark(
    acme: tuple[Customer, str], tmp_path: Path, database: str
) -> None:
    if database != "SQLite":
        pytest.skip("a full disk is simulated by SQLite's page limit")
    buyer, key = acme
    downgrade(buyer)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        pages = cursor.fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            with pytest.raises(OperationalError, match="full"):
                for _ in range(500):  # until the pages in use have no room left
                    mark_dirty(buyer)
                    director.publish_due(at=now())
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")
    fresh = world.director_client(tmp_path, buyer, Served(key))
    assert world.listed(fresh) == ["plain/1.0.0"]
    world.publish()
    assert world.listed(world.director_client(tmp_path, buyer, Served(key))) == ["plain/1.0.0"]
