"""A crash between a file and its row leaves nothing for ever; what a row names, or soon will, is never touched."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.clock import now
from customers.models import Customer
from plugins_registry import orphans, submissions
from plugins_registry.building import kept_files
from plugins_registry.building.customer_builds import unsigned_name
from plugins_registry.models import CustomerBuild, PayloadBuild, Source
from tests.plugins_registry.registry import archive, submitted, upload

pytestmark = pytest.mark.usefixtures("own_storage")
TWO_DAYS = timedelta(days=2)
KEY = "A" * 43


class KilledError(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


def files(storage: Path) -> list[str]:
    return sorted(path.relative_to(storage).as_posix() for path in storage.rglob("*") if path.is_file())


def aged(storage: Path, at: datetime, *names: str) -> None:
    for name in names or files(storage):
        os.utime(storage / name, (at.timestamp(), at.timestamp()))


def killed_between_file_and_row(data: bytes, owner: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Source.objects, "get_or_create", kill)
        with pytest.raises(KilledError):
            submissions.submit(owner, upload(data), visibility="", private=True, actor="key:k", at=now())


def test_a_source_whose_submission_was_killed_is_deleted_after_a_day(
    acme: Customer, own_storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = submitted(acme).source.file.name
    killed_between_file_and_row(archive(version="2.0.0"), acme, monkeypatch)
    assert len(files(own_storage)) == 2
    assert orphans.sweep(at=now()) == 0, "its row may still come"
    aged(own_storage, now() - TWO_DAYS)
    assert orphans.sweep(at=now()) == 1
    assert files(own_storage) == [kept], "a row names it, however old it is"
    assert orphans.sweep(at=now()) == 0


def test_a_submission_of_the_same_source_while_it_is_swept_keeps_its_file(
    acme: Customer, own_storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its worst: the sweep has seen the orphan, and the same source is sent again before it is deleted."""
    killed_between_file_and_row(archive(), acme, monkeypatch)
    aged(own_storage, now() - TWO_DAYS)
    deleting = orphans._delete

    def meanwhile(*given: object) -> bool:
        submitted(acme)
        return deleting(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(orphans, "_delete", meanwhile)
    assert orphans.sweep(at=now()) == 1
    source = Source.objects.get()
    assert files(own_storage) == [source.file.name]
    with source.file.open("rb") as file:
        assert file.read() == archive()


def test_an_unsigned_package_is_kept_for_the_build_that_waits_with_its_key_and_no_other(
    acme: Customer, own_storage: Path
) -> None:
    revision = submitted(acme)
    payload = PayloadBuild.objects.create(revision=revision, platform="any", source_sha256=revision.source_id)
    build = CustomerBuild.objects.create(payload=payload, customer=acme, build_key_public=KEY)
    waiting = unsigned_name(build.public_id, KEY)
    for name in (waiting, unsigned_name(build.public_id, f"B{KEY[1:]}"), "payloads/ab/abc.kmpkg"):
        kept_files.store(name, b"a package")
    aged(own_storage, now() - TWO_DAYS)
    assert orphans.sweep(at=now()) == 1
    assert files(own_storage) == sorted([waiting, "payloads/ab/abc.kmpkg", str(revision.source.file.name)])


def test_a_storage_that_nothing_was_put_into_holds_no_orphans(db: None) -> None:
    assert orphans.sweep(at=now()) == 0
