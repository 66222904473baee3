"""The registry's files in S3: the bytes come back, and a service that is away is told as a full disk is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from km_protocol.kmpkg.source_archive import MEDIA_TYPE

from core.clock import now
from customers import accounts, api_keys
from customers.scopes import Scope
from plugins_registry.building import kept_files
from plugins_registry.models import Source
from tests.plugins_registry.production.conftest import bucket
from tests.plugins_registry.production.servers import Aws, aws
from tests.plugins_registry.registry import archive
from tests.plugins_registry.storing import replaced

AWAY = Aws("http://127.0.0.1:1")


@pytest.fixture
def service() -> Iterator[Aws]:
    with tempfile.TemporaryDirectory(prefix="km-aws-") as directory, aws(Path(directory)) as running:
        yield running


@pytest.fixture(autouse=True)
def one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of boto3's: nobody comes back in these tests."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def test_what_is_kept_is_found_replaced_and_forgotten(service: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, bucket(service))
    kept_files.store("payloads/ab/one", b"half")
    kept_files.store("payloads/ab/one", b"all of it")
    assert kept_files.load("payloads/ab/one") == b"all of it"
    assert service.names() == ["payloads/ab/one"]
    kept_files.forget("payloads/ab/one")
    kept_files.forget("payloads/ab/one")
    with pytest.raises(FileNotFoundError):
        kept_files.load("payloads/ab/one")


def test_a_service_that_is_away_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(monkeypatch, bucket(AWAY))
    for use in (lambda: kept_files.store("x", b""), lambda: kept_files.load("x"), lambda: kept_files.forget("x")):
        with pytest.raises(OSError, match="the object storage fails"):
            use()


def test_a_submission_that_cannot_be_stored_is_to_be_sent_again(
    db: None, service: Aws, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = accounts.create_customer("Author", "pro", at=now())
    key = api_keys.issue(author, "author", scopes=[Scope.PLUGINS_SUBMIT], at=now()).secret

    def send() -> int:
        headers = {"Authorization": f"Bearer {key}"}
        url = "/api/registry/submissions"
        return client.generic("POST", url, archive(), content_type=MEDIA_TYPE, headers=headers).status_code

    with monkeypatch.context() as patch:
        replaced(patch, bucket(AWAY))
        assert send() == 503
    assert not Source.objects.exists()
    replaced(monkeypatch, bucket(service))
    assert send() == 201
    assert service.names() == [Source.objects.get().file.name]
