"""One real service for all tests of a worker process, one in production, and a laptop of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.production_servers import are_installed
from tests.end_to_end.production_stack import Stack
from tests.end_to_end.service import Account, Service
from tests.end_to_end.waiting import eventually

DATABASE_SECONDS = 3.0  # what a request waits for an answer of PostgreSQL, instead of eight


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[Service]:
    """A running service that tests share. A test that stops or kills one takes `own_service`."""
    running = Service(tmp_path_factory.mktemp("service")).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[Stack]:
    """The production service that the tests of faults break and mend; each sends as customers of its own."""
    if not are_installed():
        pytest.skip("PostgreSQL or Redis is not installed")
    directory = tmp_path_factory.mktemp("production")
    with Stack(directory, small_disk=True, KM_DATABASE_TIMEOUT_SECONDS=str(DATABASE_SECONDS)) as running:
        yield running


@pytest.fixture(scope="session")
def _to_be_broken(tmp_path_factory: pytest.TempPathFactory, own_home: Path) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("broken"))
    yield service
    if service.is_running:
        service.stop()


@pytest.fixture
def own_service(_to_be_broken: Service) -> Service:
    """A running service for one test to break, stop or kill: no other test uses it meanwhile, and the next mends it."""
    if not _to_be_broken.is_running:
        _to_be_broken.start()
    eventually(_to_be_broken.is_ready, what="the service is well again")
    return _to_be_broken


@pytest.fixture(scope="session")
def account(service: Service) -> Account:
    """The customer whose key the laptops of all tests have; without a daily limit. Sessions keep the tests apart."""
    return service.create_customer(tier="enterprise")


@pytest.fixture
def own_account(service: Service) -> Account:
    """A customer for one test to ruin."""
    return service.create_customer()


@pytest.fixture
def session_id() -> str:
    """A session no other test has."""
    return uuid.uuid4().hex


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """A laptop that is not configured yet."""
    made = Laptop(tmp_path / "laptop")
    yield made
    made.shut_down()


@pytest.fixture
def signed_in(laptop: Laptop, account: Account, service: Service) -> Laptop:
    """A laptop whose `km-client` has a good key."""
    laptop.init(account, service.url)
    return laptop
