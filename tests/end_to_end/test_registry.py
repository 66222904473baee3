"""A plugin's way from its author to a customer's session, through the programs of everybody on that way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.end_to_end.laptop import Laptop
from tests.end_to_end.raw_client import RawClient
from tests.end_to_end.registry_people import Registry
from tests.end_to_end.service import Service
from tests.end_to_end.waiting import eventually

WITHIN = 90.0
NAME = "slow-tools"


@pytest.fixture
def author(own_service: Service, tmp_path: Path) -> Iterator[Laptop]:
    """A laptop whose key may submit."""
    account = own_service.create_customer(name="Author")
    scoped = ("--customer", account.public_id, "--name", "submit", "--scope", "plugins:submit", "--json")
    key = json.loads(own_service.manage("issue_key", *scoped))
    laptop = Laptop(tmp_path / "author")
    laptop.init(replace(account, key_id=key["key_id"], api_key=key["api_key"]), own_service.url)
    laptop.submit_key = key["api_key"]
    yield laptop
    laptop.shut_down()


def submitted(author: Laptop, tmp_path: Path) -> str:
    """The template's plugin, sent as it is made; its revision's id."""
    made = author.km("plugin", "new", "--lang", "python", NAME, "--directory", str(tmp_path))
    assert made.returncode == 0, made.stderr
    sent = author.km("plugin", "submit", str(tmp_path / NAME), "--json")
    assert sent.returncode == 0, sent.stderr
    return str(json.loads(sent.stdout)["id"])


def until_state(service: Service, author: Laptop, revision: str, *states: str) -> str:
    """The state that the author sees, once it is one of these."""
    headers = {"Authorization": f"Bearer {author.submit_key}"}

    def state() -> str:
        seen = requests.get(f"{service.url}/api/registry/submissions/{revision}", headers=headers, timeout=10).json()
        return str(seen["state"]) if seen["state"] in states else ""

    return eventually(state, within=WITHIN, what=f"the revision is {states}")


def rows(laptop: Laptop) -> dict[str, dict[str, Any]]:
    listed = json.loads(laptop.km("plugins", "list", "--json").stdout)
    return {row["name"]: row for row in listed["plugins"]}


def has_run(laptop: Laptop) -> dict[str, Any]:
    """How the plugin stands once its session is over."""
    row = rows(laptop).get(NAME, {})
    return row if row.get("state") == "stopped" else {}


def test_a_plugin_is_submitted_reviewed_by_two_signed_published_installed_and_run(
    own_service: Service, author: Laptop, laptop: Laptop, tmp_path: Path, session_id: str
) -> None:
    service = own_service
    registry = Registry(service, tmp_path / "people")
    revision = submitted(author, tmp_path)
    until_state(service, author, revision, "security_review")
    registry.rita.decide("approve")
    registry.rolf.decide("approve")
    until_state(service, author, revision, "certified")
    for reviewer in (registry.rita, registry.rolf):
        eventually(partial(reviewer.can_sign, revision), within=WITHIN, what="a payload is built")
        reviewer.sign(revision)
    until_state(service, author, revision, "approved", "building")
    registry.release()
    until_state(service, author, revision, "published")

    customer = service.create_customer(name="Customer", tier="free")
    laptop.init(customer, service.url)
    installed = laptop.km("plugins", "install", NAME)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert "reviewed by 2" in installed.stdout
    with RawClient(laptop.monitor_command("cat", session_id=session_id), laptop.environment) as client:
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        assert client.finish() == 0
    row = eventually(lambda: has_run(laptop), within=WITHIN, what="it ran")
    assert (row["handled"], row["failed"]) == (2, 0)
    assert len(service.wait_until_stored(session_id, 2)) == 2
