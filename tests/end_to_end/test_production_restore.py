"""The backup that docs/operations.md describes, rehearsed: taken while events arrive, brought back in another place."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.end_to_end.production_checks import assert_stored_once
from tests.end_to_end.production_load import Load
from tests.end_to_end.production_servers import PostgreSQL
from tests.end_to_end.production_stack import Stack
from tests.end_to_end.service import Account, Service
from tests.end_to_end.waiting import eventually


def lease_number(url: str, api_key: str) -> int:
    """The `seq` of the lease that a client gets now; a client refuses one that is not above the last."""
    headers = {"Authorization": f"Bearer {api_key}"}
    answer = requests.get(f"{url}/api/subscription/status", headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    claims = answer.json()["lease"].split(".")[1]
    return int(_decoded(claims)["seq"])


def _decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def signs_in(url: str, email: str, password: str) -> bool:
    """Whether the dashboard lets this person in."""
    with requests.Session() as browser:
        page = browser.get(f"{url}/app/login", timeout=10)
        token = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        form = {"username": email, "password": password, "csrfmiddlewaretoken": token}
        answer = browser.post(f"{url}/app/login", form, headers={"Referer": url}, timeout=10, allow_redirects=False)
        return answer.status_code == 302


def test_an_embedded_service_comes_back_from_its_backup_with_everything(tmp_path: Path) -> None:
    first, backup, second = (tmp_path / name for name in ("first", "backup", "second"))
    for directory in (first, backup, second):
        directory.mkdir()
    service = Service(first).start()
    try:
        account = service.create_customer(tier="enterprise")
        with Load(_address(service), account.api_key, senders=2) as load:
            load.await_batches(5)
            kept = set(load.acknowledged)
            with (
                closing(sqlite3.connect(first / "kilometers.sqlite3")) as live,
                closing(sqlite3.connect(backup / "kilometers.sqlite3")) as copy,
            ):
                live.backup(copy)  # what `.backup` of the command line does
            load.await_batches(5)
        seen = lease_number(service.url, account.api_key)
        shutil.copytree(first / "secrets", backup / "secrets")
    finally:
        service.kill()
    shutil.rmtree(first)
    shutil.copytree(backup, second, dirs_exist_ok=True)
    restored = Service(second).start()
    try:
        restored.manage("after_restore")
        assert lease_number(restored.url, account.api_key) > seen
        assert signs_in(restored.url, account.email, account.password)
        _assert_goes_on(restored, account, kept)
    finally:
        restored.stop()


def _address(service: Service) -> tuple[str, int]:
    return "127.0.0.1", service.port


def _assert_goes_on(service: Service, account: Account, kept: set[str]) -> None:
    with Load(_address(service), account.api_key, senders=1, name="after") as load:
        load.await_batches(3)
    path = service.data_dir / "kilometers.sqlite3"

    def stored() -> set[str]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            return {str(row[0]) for row in database.execute("SELECT id FROM events_event")}

    wanted = {each.replace("-", "") for each in kept | load.acknowledged}
    eventually(lambda: wanted <= {each.replace("-", "") for each in stored()}, what="old and new events are stored")


@pytest.mark.servers
@pytest.mark.xdist_group("production")
def test_a_service_stopped_in_mid_load_keeps_all_and_comes_back_from_pg_dump_in_another_cluster(
    production: Stack,
) -> None:
    customer, first = production.customer(), production.database
    second = PostgreSQL(small_disk=True)
    second.start()
    with Load(production.address, customer["api_key"], senders=2) as load:
        load.await_batches(10)
        kept = set(load.acknowledged)
        dump = str(second.directory / "kilometers.dump")
        second.run("pg_dump", "--format", "custom", "--file", dump, first.url)
        seen = lease_number(production.ready["url"], customer["api_key"])
        load.await_batches(10)
        assert production.stop() == 0  # and no process is left of it
    production.manage("drain_inbox")
    assert_stored_once(production, load, customer)
    first.destroy()
    shutil.rmtree(production.directory / "data")
    (production.directory / "data").mkdir()
    production.database = second  # the tests that follow go on with what was restored
    second.run("pg_restore", "--clean", "--if-exists", "--no-owner", "--exit-on-error", "--dbname", second.url, dump)
    production.environment["KM_DATABASE_URL"] = second.url
    production.serve()
    production.manage("after_restore")
    assert lease_number(production.ready["url"], customer["api_key"]) > seen
    with Load(production.address, customer["api_key"], senders=2, name="after") as more:
        more.await_batches(5)
    production.wait_until_drained_of(kept | more.acknowledged)
